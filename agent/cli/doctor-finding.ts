/** What one check of `doctor` says. */
export type Verdict = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  /** Never a credential. */
  readonly detail: string;
  /** What mends it, best as a command. */
  readonly hint?: string;
}

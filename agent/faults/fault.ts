/** What a fault is: something that happens to a device, done for real, and what is counted afterwards. */
import type { Requirement } from '#agent/testing/require.ts';

/** What a number of runs came to. */
export interface Outcome {
  readonly runs: number;
  /** Events that were acknowledged to their producers. */
  readonly acknowledged: number;
  /** Acknowledged, and neither there nor declared. */
  readonly lost: number;
  /** There twice, or there though refused, or with another text than was written. */
  readonly wrong: number;
  /** Declared given up. */
  readonly declared: number;
  /** The longest from the start to the first append that is possible. */
  readonly worstStartMs: number;
  /** What else is worth saying; a line that begins with `FAILED` fails the fault. */
  readonly notes: readonly string[];
}

export interface Fault {
  readonly name: string;
  /** Number in the list. */
  readonly point: number;
  readonly what: string;
  /** Runs for RELIABILITY.md, and for each change. */
  readonly full: number;
  readonly small: number;
  readonly needs: readonly Requirement[];
  /** Not ours: a row to compare with, which need not hold. */
  readonly isPeer?: boolean;
  run(count: number, folder: string): Promise<Outcome>;
}

export const held = ({ lost, wrong, notes }: Outcome): boolean =>
  lost === 0 && wrong === 0 && !notes.some((note) => note.startsWith('FAILED'));

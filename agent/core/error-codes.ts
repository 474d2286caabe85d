/**
 * Every error code of Outpost, in one table: who must act, what it is, what to do.
 * `agent/core/ERRORS.md` is generated from it.
 *
 * kind: bug (us) · config (operator) · peer (a device or server) · transient (nobody) · limit (shed) · fatal (exit)
 */
export type ErrorKind = 'bug' | 'config' | 'peer' | 'transient' | 'limit' | 'fatal';

export interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly title: string;
  readonly hint: string;
}

export const errorCodes = {
  // core
  internal: {
    kind: 'bug',
    title: 'Something inside Outpost broke.',
    hint: 'Report it, with the log around it and `outpost doctor --json`.',
  },
  'message-too-large': {
    kind: 'limit',
    title: 'A message between processes is larger than its limit.',
    hint: 'Report it; the process that sent it is restarted.',
  },
  'message-garbled': {
    kind: 'bug',
    title: 'A message between processes cannot be read.',
    hint: 'Report it; the process that sent it is restarted.',
  },
  'gave-up': {
    kind: 'transient',
    title: 'A service failed too often and rests.',
    hint: 'See the error before it in the log; it is tried again later.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;

/**
 * The one error of Outpost. `kind` says who must act, and nothing else decides what happens.
 *
 *   code --(error-codes.ts)--> kind, title, hint
 */
import { type ErrorCode, type ErrorKind, errorCodes } from './error-codes.ts';

export interface OutpostErrorOptions {
  /** Facts for the log and the reader. Never data about people, never a credential. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** What to do about it, when more is known here than the table says. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class OutpostError extends Error {
  override readonly name = 'OutpostError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string;
  readonly context: Readonly<Record<string, unknown>>;

  /**
   * @param detail one clause that says what happened here; the table's title when absent.
   */
  constructor(code: ErrorCode, detail?: string, options: OutpostErrorOptions = {}) {
    const entry = errorCodes[code];
    super(detail ?? entry.title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = entry.kind;
    this.hint = options.hint ?? entry.hint;
    this.context = options.context ?? {};
  }
}

/** Any thrown value as an OutpostError; what is not one already is a `bug`. */
export function toOutpostError(thrown: unknown): OutpostError {
  if (thrown instanceof OutpostError) return thrown;
  return new OutpostError('internal', messageOf(thrown), { cause: thrown });
}

/** The message of any thrown value. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a Node system error (`ENOENT`), if it has one. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

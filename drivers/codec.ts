/**
 * Bytes to messages and back: pure, bounded, and never lost for long.
 *
 *   bytes --push--> [ held back, at most `limit` ] --look--> messages, rejected
 *   message --encode--> bytes
 */

/** Why bytes were given up. `checksum`: a whole frame whose check value is wrong. */
export type RejectionReason = 'garbage' | 'checksum' | 'malformed' | 'too-long' | 'unfinished';

export interface Rejection {
  readonly reason: RejectionReason;
  readonly bytes: number;
}

export interface Decoded<M> {
  readonly messages: readonly M[];
  readonly rejected: readonly Rejection[];
}

/**
 * One side of a protocol: it reads `In` and writes `Out`. Bytes may come in pieces of any size; the same bytes give the
 * same messages. Nothing throws, whatever comes.
 */
export interface Codec<In, Out> {
  push(bytes: Uint8Array): Decoded<In>;
  /** The line was quiet for longer than a frame may pause: what is unfinished never will be. */
  quiet(): Decoded<In>;
  encode(message: Out): Uint8Array;
  /** Bytes held back now; never more than `limit`. */
  readonly pending: number;
  readonly limit: number;
}

/** What stands at the beginning of the window, as far as can be told. */
export type Look<M> =
  /** more bytes decide */
  | { readonly is: 'open' }
  /** these many bytes begin nothing; of a bad frame give up its first byte alone, for another may begin inside it */
  | { readonly is: 'bad'; readonly bytes: number; readonly reason: RejectionReason }
  /** a whole frame; `message` undefined: a frame of no interest */
  | { readonly is: 'frame'; readonly bytes: number; readonly message: M | undefined };

export const open: Look<never> = { is: 'open' };
export const bad = (bytes: number, reason: RejectionReason): Look<never> => ({ is: 'bad', bytes, reason });
export const frame = <M>(bytes: number, message: M | undefined): Look<M> => ({ is: 'frame', bytes, message });

export interface FramingOptions<In, Out> {
  /** The longest frame, in bytes. */
  readonly limit: number;
  /** @param window not empty, and begins where the last frame or bad byte ended; do not keep it */
  readonly look: (window: Uint8Array) => Look<In>;
  readonly encode: (message: Out) => Uint8Array;
  /** Whether a frame may begin with this byte; where none may, `look` is not asked. Absent: any byte may. */
  readonly begins?: (byte: number) => boolean;
}

/** A codec from a function that looks at the beginning of a window: holding back, bounds and resynchronising are here. */
export function framing<In, Out>({ limit, look, encode, begins }: FramingOptions<In, Out>): Codec<In, Out> {
  let held: Uint8Array = nothing;

  const run = (bytes: Uint8Array, isEnd: boolean): Decoded<In> => {
    const window = held.length === 0 ? bytes : joined(held, bytes);
    const messages: In[] = [];
    const rejected: Rejection[] = [];
    let at = 0;
    while (at < window.length) {
      if (begins) {
        const from = at;
        while (at < window.length && !begins(window[at] as number)) at += 1;
        if (at > from) reject(rejected, 'garbage', at - from);
        if (at === window.length) break;
      }
      const found = look(window.subarray(at));
      if (found.is === 'frame') {
        if (found.message !== undefined) messages.push(found.message);
        at += found.bytes;
      } else if (found.is === 'bad') {
        reject(rejected, found.reason, found.bytes);
        at += found.bytes;
      } else if (isEnd) {
        // what was taken for a beginning was none, and may hide a whole frame
        reject(rejected, 'unfinished', 1);
        at += 1;
      } else if (window.length - at > limit) {
        reject(rejected, 'too-long', 1);
        at += 1;
      } else break;
    }
    // a copy: the caller may use its buffer again
    held = at === window.length ? nothing : window.slice(at);
    return { messages, rejected };
  };

  return {
    push: (bytes) => run(bytes, false),
    quiet: () => run(nothing, true),
    encode,
    get pending() {
      return held.length;
    },
    limit,
  };
}

const nothing = new Uint8Array(0);

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Neighbours of one reason are one rejection. */
function reject(rejected: Rejection[], reason: RejectionReason, bytes: number): void {
  const last = rejected.at(-1);
  if (last?.reason === reason) rejected[rejected.length - 1] = { reason, bytes: last.bytes + bytes };
  else rejected.push({ reason, bytes });
}

export interface LineFraming<In, Out> {
  /** The longest line with its end. */
  readonly limit: number;
  /** Bytes that end a line; several in a row are one end. */
  readonly ends: readonly number[];
  /** @param line without its end, not empty */
  readonly parse: (line: Uint8Array) => In | undefined | RejectionReason;
  readonly encode: (message: Out) => Uint8Array;
}

/** A codec of lines. What is longer than the limit is given up to its end. */
export function lineFraming<In extends object, Out>({
  limit,
  ends,
  parse,
  encode,
}: LineFraming<In, Out>): Codec<In, Out> {
  let isSkipping = false;
  return framing<In, Out>({
    limit,
    encode,
    look(window) {
      const end = firstOf(window, ends);
      if (end < 0 || end >= limit) {
        if (end < 0 && window.length <= limit && !isSkipping) return open;
        isSkipping = end < 0;
        return bad(end < 0 ? window.length : end + 1, 'too-long');
      }
      if (isSkipping) {
        isSkipping = false;
        return bad(end + 1, 'too-long');
      }
      if (end === 0) return frame(1, undefined);
      const parsed = parse(window.subarray(0, end));
      return typeof parsed === 'string' ? bad(end + 1, parsed) : frame(end + 1, parsed);
    },
  });
}

function firstOf(window: Uint8Array, ends: readonly number[]): number {
  let first = -1;
  for (const end of ends) {
    const at = window.indexOf(end);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}

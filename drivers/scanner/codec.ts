/**
 * Lines with their terminator, and between them the frames of Newland's command set.
 *
 *   from the scanner   code CR LF            02 01 30 30 30 30 @ C11… 06 ; 03
 *   to the scanner                           7e 01 30 30 30 30 @ C11* ; 03
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';
import { type Options, terminators } from './manifest.ts';

export type FromDevice =
  /** As it was sent, without its terminator. */
  | { readonly is: 'line'; readonly bytes: Uint8Array }
  /** ACK (06), or NAK (15): it does not know what was asked; ENQ (05): it may not be set. */
  | { readonly is: 'answer'; readonly text: string; readonly accepted: boolean };
export type ToDevice = { readonly is: 'query'; readonly text: string };

const [etx, ack] = [0x03, 0x06] as const;
const answerStart = Uint8Array.of(0x02, 0x01, 0x30, 0x30, 0x30, 0x30);
const queryStart = Uint8Array.of(0x7e, 0x01, 0x30, 0x30, 0x30, 0x30);
const verdicts = new Set([0x05, ack, 0x15]);
const longestFrame = 256;

export function hostCodec({ longest, terminator }: Options): Codec<FromDevice, ToDevice> {
  const ends = terminators[terminator];
  let isSkipping = false;
  return framing({
    limit: Math.max(longest + 16, longestFrame),
    encode: ({ text }) => framed(queryStart, text, []),
    look(window) {
      if (!isSkipping && isBegunBy(window, answerStart)) {
        const answer = lookAtAnswer(window);
        if (answer.is !== 'bad') return answer;
      }
      const end = endOf(window, ends);
      // of CR LF the first may have come alone
      const isLong = end < 0 ? window.length >= longest + ends.length : end > longest;
      if (end < 0 && !isLong && !isSkipping) return open;
      const wasSkipping = isSkipping;
      isSkipping = end < 0;
      if (end < 0) return skipped(window, ends);
      if (wasSkipping || isLong) return bad(end + ends.length, 'too-long');
      const bytes = Uint8Array.from(window.subarray(0, end));
      return frame(end + ends.length, bytes.length === 0 ? undefined : { is: 'line', bytes });
    },
  });
}

export const deviceCodec = ({ terminator }: Options): Codec<ToDevice, FromDevice> =>
  framing({
    limit: longestFrame,
    encode: (message) =>
      message.is === 'line'
        ? Uint8Array.of(...message.bytes, ...terminators[terminator])
        : framed(answerStart, message.text, [message.accepted ? ack : 0x15]),
    look(window) {
      if (!isBegunBy(window, queryStart)) return bad(1, 'garbage');
      const content = contentOf(window, queryStart);
      return content.is === 'frame' && content.message
        ? frame(content.bytes, { is: 'query', text: textOf(content.message) })
        : (content as Look<never>);
    },
  });

/** All but what may be the first byte of the terminator. */
function skipped(window: Uint8Array, ends: readonly number[]): Look<never> {
  const isHalfEnd = ends.length > 1 && window.at(-1) === ends[0];
  const bytes = window.length - Number(isHalfEnd);
  return bytes === 0 ? open : bad(bytes, 'too-long');
}

/** As far as it goes: a window that is shorter may still begin so. */
const isBegunBy = (window: Uint8Array, start: Uint8Array): boolean =>
  window.subarray(0, start.length).every((byte, at) => byte === start[at]);

/** What stands between the start and `;` ETX. */
function contentOf(window: Uint8Array, start: Uint8Array): Look<Uint8Array> {
  const end = window.indexOf(etx);
  if (end < 0) return window.length < longestFrame ? open : bad(1, 'too-long');
  const isWhole = end > start.length && window[end - 1] === 0x3b && end < longestFrame;
  return isWhole ? frame(end + 1, window.subarray(start.length, end - 1)) : bad(1, 'malformed');
}

function lookAtAnswer(window: Uint8Array): Look<FromDevice> {
  const content = contentOf(window, answerStart);
  if (content.is !== 'frame' || !content.message) return content as Look<never>;
  const verdict = content.message.at(-1) ?? 0;
  if (!verdicts.has(verdict)) return bad(1, 'malformed');
  return frame(content.bytes, {
    is: 'answer',
    text: textOf(content.message.subarray(0, -1)),
    accepted: verdict === ack,
  });
}

const endOf = (window: Uint8Array, ends: readonly number[]): number =>
  Buffer.from(window.buffer, window.byteOffset, window.length).indexOf(Uint8Array.from(ends));

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const framed = (start: Uint8Array, text: string, verdict: readonly number[]): Uint8Array =>
  Uint8Array.of(...start, ...Buffer.from(text, 'latin1'), ...verdict, 0x3b, etx);

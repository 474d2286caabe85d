/**
 * Frames of the SAM_A module over UART.
 *
 *   AA AA AA 96 69 length×2 command parameter data… xor      length is big-endian and counts all after it;
 *   AA AA AA 96 69 length×2 SW1 SW2 SW3       data… xor      xor over length to the last byte before it
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export interface Command {
  readonly command: number;
  readonly parameter: number;
  readonly data: Uint8Array;
}

/** It does not say to which command it belongs: see steps.ts. */
export interface Response {
  /** What the card said. */
  readonly sw1: number;
  readonly sw2: number;
  /** SW3, what the module says: 90 done, 9F found, 80 no card … */
  readonly status: number;
  readonly data: Uint8Array;
}

const preamble = [0xaa, 0xaa, 0xaa, 0x96, 0x69] as const;
const headBytes = preamble.length + 2;
/** Text, photo and two fingerprints are 2,321. */
const longest = 2_400;

export const hostCodec = (): Codec<Response, Command> =>
  codec(
    3,
    ([sw1, sw2, status], data) => ({ sw1, sw2, status, data }) as Response,
    ({ command, parameter, data }) => [command, parameter, ...data],
  );

export const deviceCodec = (): Codec<Command, Response> =>
  codec(
    2,
    ([command, parameter], data) => ({ command, parameter, data }) as Command,
    ({ sw1, sw2, status, data }) => [sw1, sw2, status, ...data],
  );

function codec<In, Out>(
  words: number,
  read: (words: Uint8Array, data: Uint8Array) => In,
  write: (message: Out) => readonly number[],
): Codec<In, Out> {
  return framing({
    limit: longest,
    look: (window) => look(window, words, read),
    encode(message) {
      const content = write(message);
      const length = content.length + 1;
      const body = [length >> 8, length & 0xff, ...content];
      return Uint8Array.from([...preamble, ...body, xor(body)]);
    },
  });
}

function look<In>(window: Uint8Array, words: number, read: (words: Uint8Array, data: Uint8Array) => In): Look<In> {
  for (let at = 0; at < preamble.length; at += 1) {
    if (at === window.length) return open;
    if (window[at] !== preamble[at]) return bad(1, 'garbage');
  }
  if (window.length < headBytes) return open;
  const length = (window[5] as number) * 256 + (window[6] as number);
  const whole = headBytes + length;
  if (length < words + 1 || whole > longest) return bad(1, 'malformed');
  if (window.length < whole) return open;
  const end = whole - 1;
  if (xor(window.subarray(preamble.length, end)) !== window[end]) return bad(1, 'checksum');
  return frame(whole, read(window.subarray(headBytes, headBytes + words), window.slice(headBytes + words, end)));
}

function xor(bytes: Iterable<number>): number {
  let sum = 0;
  for (const byte of bytes) sum ^= byte;
  return sum;
}

/**
 * Modbus RTU frames (Application Protocol V1.1b3, section 6; Serial Line V1.02, section 2.5.1).
 *
 *   unit function data… crc crc       CRC-16 of polynomial A001, low byte first
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export type ReadFunction = 1 | 2 | 3 | 4;
export type WriteOneFunction = 5 | 6;
export type WriteManyFunction = 15 | 16;

export type Request =
  | { readonly unit: number; readonly fn: ReadFunction; readonly address: number; readonly count: number }
  /** FC 5: 0xff00 on, 0 off. */
  | { readonly unit: number; readonly fn: WriteOneFunction; readonly address: number; readonly value: number }
  /** FC 15: bytes of bits; FC 16: bytes of registers. */
  | {
      readonly unit: number;
      readonly fn: WriteManyFunction;
      readonly address: number;
      readonly count: number;
      readonly data: Uint8Array;
    };

export type Response =
  | { readonly unit: number; readonly fn: ReadFunction; readonly data: Uint8Array }
  | { readonly unit: number; readonly fn: WriteOneFunction; readonly address: number; readonly value: number }
  | { readonly unit: number; readonly fn: WriteManyFunction; readonly address: number; readonly count: number }
  | { readonly unit: number; readonly fn: number; readonly exception: number };

/** Serial Line V1.02, 2.5.1: a frame has at most 256 bytes. */
const longest = 256;

/** The host knows what it asked: anything else that looks like a frame is noise, or meant for another. */
export function hostCodec(): Codec<Response, Request> {
  let asked: Request | undefined;
  return framing<Response, Request>({
    limit: longest,
    look: (window) => lookAtResponse(window, asked),
    begins: (byte) => (asked ? byte === asked.unit : byte > 0 && byte <= 247),
    encode(request) {
      asked = request;
      return encodeRequest(request);
    },
  });
}

export const deviceCodec = (): Codec<Request, Response> =>
  framing<Request, Response>({ limit: longest, look: lookAtRequest, encode: encodeResponse });

/** @returns how many bytes there are before two that may be unit and function; 0: they are the first */
function noiseBefore(window: Uint8Array, mayBe: (unit: number, code: number) => boolean): number {
  let at = 0;
  while (at + 1 < window.length && !mayBe(window[at] as number, window[at + 1] as number)) at += 1;
  return at;
}

function lookAtResponse(window: Uint8Array, asked: Request | undefined): Look<Response> {
  const noise = noiseBefore(window, (address, fn) =>
    asked ? address === asked.unit && (fn & 0x7f) === asked.fn : address > 0 && address <= 247 && isFunction(fn & 0x7f),
  );
  if (noise > 0) return bad(noise, 'garbage');
  const [unit = 0, code] = window;
  if (code === undefined) return open;
  const length = responseLength(window, code, asked);
  if (length === undefined) return window.length < 3 ? open : bad(1, 'malformed');
  if (window.length < length) return open;
  if (crc16(window.subarray(0, length)) !== 0) return bad(1, 'checksum');
  return frame(length, readResponse(window, unit, code, length));
}

/** @returns undefined while it cannot be told, or when it cannot be */
function responseLength(window: Uint8Array, code: number, asked: Request | undefined): number | undefined {
  if (code >= 0x80) return 5;
  if (code >= 5) return 8;
  const bytes = window[2];
  if (bytes === undefined || bytes === 0 || bytes > 250 || (code >= 3 && bytes % 2 !== 0)) return undefined;
  if (asked && 'count' in asked && bytes !== (code >= 3 ? asked.count * 2 : Math.ceil(asked.count / 8)))
    return undefined;
  return 5 + bytes;
}

function readResponse(window: Uint8Array, unit: number, code: number, length: number): Response {
  const view = new DataView(window.buffer, window.byteOffset, length);
  if (code >= 0x80) return { unit, fn: code & 0x7f, exception: view.getUint8(2) };
  const address = length > 5 ? view.getUint16(2) : 0;
  if (code === 5 || code === 6) return { unit, fn: code, address, value: view.getUint16(4) };
  if (code === 15 || code === 16) return { unit, fn: code, address, count: view.getUint16(4) };
  return { unit, fn: code as ReadFunction, data: window.slice(3, length - 2) };
}

function lookAtRequest(window: Uint8Array): Look<Request> {
  const noise = noiseBefore(window, (address, fn) => address <= 247 && isFunction(fn));
  if (noise > 0) return bad(noise, 'garbage');
  const [unit = 0, code] = window;
  if (code === undefined) return open;
  if (code >= 15 && window.length < 7) return open;
  const length = code >= 15 ? 9 + (window[6] as number) : 8;
  if (length > longest) return bad(1, 'malformed');
  if (window.length < length) return open;
  if (crc16(window.subarray(0, length)) !== 0) return bad(1, 'checksum');
  const request = readRequest(window, unit, code, length);
  return request ? frame(length, request) : bad(length, 'malformed');
}

function readRequest(window: Uint8Array, unit: number, code: number, length: number): Request | undefined {
  const view = new DataView(window.buffer, window.byteOffset, length);
  const [address, second] = [view.getUint16(2), view.getUint16(4)];
  if (code === 5 || code === 6) return { unit, fn: code, address, value: second };
  if (code !== 15 && code !== 16) return { unit, fn: code as ReadFunction, address, count: second };
  const bytes = code === 16 ? second * 2 : Math.ceil(second / 8);
  return bytes === window[6] && bytes > 0
    ? { unit, fn: code, address, count: second, data: window.slice(7, length - 2) }
    : undefined;
}

const isFunction = (code: number): boolean => (code >= 1 && code <= 6) || code === 15 || code === 16;

const word = (value: number): readonly number[] => [(value >> 8) & 0xff, value & 0xff];

function encodeRequest(request: Request): Uint8Array {
  const { unit, fn, address } = request;
  if ('data' in request)
    return sealed([unit, fn, ...word(address), ...word(request.count), request.data.length, ...request.data]);
  return sealed([unit, fn, ...word(address), ...word('value' in request ? request.value : request.count)]);
}

function encodeResponse(response: Response): Uint8Array {
  const { unit, fn } = response;
  if ('exception' in response) return sealed([unit, fn | 0x80, response.exception]);
  if ('data' in response) return sealed([unit, fn, response.data.length, ...response.data]);
  return sealed([unit, fn, ...word(response.address), ...word('value' in response ? response.value : response.count)]);
}

function sealed(bytes: readonly number[]): Uint8Array {
  const crc = crc16(bytes);
  return Uint8Array.from([...bytes, crc & 0xff, crc >> 8]);
}

const table = Uint16Array.from({ length: 256 }, (_unused, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  return crc;
});

/** Serial Line V1.02, 6.2.2; 0 over a frame with its own CRC. */
export function crc16(bytes: ArrayLike<number>): number {
  let crc = 0xffff;
  for (let at = 0; at < bytes.length; at += 1)
    crc = (crc >> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return crc;
}

/**
 * Frames of OSDP (IEC 60839-11-5), commands and replies alike.
 *
 *   53 address length×2 control [security block] code payload… [mac×4] crc×2 | checksum
 *                       bits 0-1 sequence, 2 CRC, 3 security block; length counts all, the low byte first
 *
 * What is encrypted stays so here: the channel is a state, and a codec has none.
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export interface Frame {
  /** 0 to 126; 127 is everybody's. */
  readonly address: number;
  /** From the reader. */
  readonly reply: boolean;
  /** 0 begins anew, then 1, 2, 3, 1 … */
  readonly sequence: number;
  readonly check: Check;
  /** SCS_11 to SCS_18 by number, and what else stands in the security block. */
  readonly security?: { readonly type: number; readonly data: Uint8Array };
  readonly code: number;
  /** As on the line: encrypted under SCS_17 and SCS_18. */
  readonly payload: Uint8Array;
  /** First four bytes, under SCS_15 to SCS_18. */
  readonly mac?: Uint8Array;
}

export type Check = 'crc' | 'checksum';

const start = 0x53;
/** Some devices say it before each frame, so that receivers wake up (5.7). */
const mark = 0xff;
const headBytes = 5;
const macBytes = 4;
const replyBit = 0x80;
/** The longest that the standard has. */
const longest = 1_440;

/** Reads replies, writes commands. */
export const hostCodec = (): Codec<Frame, Frame> => codec(true);
/** Reads commands, writes replies. */
export const deviceCodec = (): Codec<Frame, Frame> => codec(false);

/** On a bus of several the other side is heard too; it is sound, and not for us. */
const codec = (hearsReplies: boolean): Codec<Frame, Frame> =>
  framing({ limit: longest, look: (window) => look(window, hearsReplies), encode });

function look(window: Uint8Array, hearsReplies: boolean): Look<Frame> {
  if (window[0] === mark) return frame(1, undefined);
  if (window[0] !== start) return bad(1, 'garbage');
  if (window.length < headBytes) return open;
  const [length, control] = [u16(window, 2), window[4] as number];
  const check = (control & 4) === 0 ? 'checksum' : 'crc';
  if (length <= headBytes + checkBytes(check) || length > longest) return bad(1, 'malformed');
  if (window.length < length) return open;
  const bytes = window.subarray(0, length);
  if (!isSound(bytes, check)) return bad(1, 'checksum');
  const parsed = parse(bytes, check);
  if (!parsed) return bad(1, 'malformed');
  return frame(length, parsed.reply === hearsReplies ? parsed : undefined);
}

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] as number) + (bytes[at + 1] as number) * 256;
const checkBytes = (check: Check): number => (check === 'crc' ? 2 : 1);

function isSound(bytes: Uint8Array, check: Check): boolean {
  const body = bytes.subarray(0, bytes.length - checkBytes(check));
  return check === 'crc' ? crc16(body) === u16(bytes, body.length) : checksum(body) === bytes[body.length];
}

function parse(bytes: Uint8Array, check: Check): Frame | undefined {
  const [address, control] = [bytes[1] as number, bytes[4] as number];
  const body = bytes.subarray(headBytes, bytes.length - checkBytes(check));
  const block = (control & 8) === 0 ? undefined : securityOf(body);
  if (block === null) return undefined;
  const rest = body.subarray(block?.bytes ?? 0);
  const hasMac = block !== undefined && isAuthenticated(block.type);
  const end = rest.length - (hasMac ? macBytes : 0);
  if (end < 1) return undefined;
  return {
    address: address & 0x7f,
    reply: (address & replyBit) !== 0,
    sequence: control & 3,
    check,
    ...(block ? { security: { type: block.type, data: block.data } } : {}),
    code: rest[0] as number,
    payload: rest.slice(1, end),
    ...(hasMac ? { mac: rest.slice(end) } : {}),
  };
}

interface Block {
  readonly bytes: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** @returns null when it is no block */
function securityOf(body: Uint8Array): Block | null {
  const length = body[0] as number;
  if (length < 2 || length > body.length) return null;
  return { bytes: length, type: body[1] as number, data: body.slice(2, length) };
}

/** SCS_15 to SCS_18 carry a MAC. */
export const isAuthenticated = (type: number): boolean => type >= 0x15 && type <= 0x18;
/** SCS_17 and SCS_18 are encrypted. */
export const isEncrypted = (type: number): boolean => type === 0x17 || type === 0x18;

/** What the MAC is made over: from the first byte to the payload, with the length that the whole frame will have. */
export function authenticatedBytes({ address, reply, sequence, check, security, code, payload }: Frame): Uint8Array {
  const block = security ? [2 + security.data.length, security.type, ...security.data] : [];
  const hasMac = security !== undefined && isAuthenticated(security.type);
  const length = headBytes + block.length + 1 + payload.length + (hasMac ? macBytes : 0) + checkBytes(check);
  const control = sequence | (check === 'crc' ? 4 : 0) | (security ? 8 : 0);
  return Uint8Array.from([
    start,
    address | (reply ? replyBit : 0),
    length & 0xff,
    length >> 8,
    control,
    ...block,
    code,
    ...payload,
  ]);
}

function encode(message: Frame): Uint8Array {
  const body = [...authenticatedBytes(message), ...(message.mac ?? [])];
  if (message.check === 'checksum') return Uint8Array.from([...body, checksum(body)]);
  const crc = crc16(body);
  return Uint8Array.from([...body, crc & 0xff, crc >> 8]);
}

/** Annex C: CCITT's polynomial 0x1021, begun with 0x1D0F. */
export function crc16(bytes: Iterable<number>): number {
  let crc = 0x1d0f;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc;
}

/** The two's complement of the sum. */
export function checksum(bytes: Iterable<number>): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}

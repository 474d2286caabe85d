/**
 * Packets of Sony's VISCA.
 *
 *   1sss brrr  payload of 1 to 14 bytes  ff        sss sender, rrr receiver, b broadcast
 *
 * A command is answered by ACK with its socket, and later by completion; an inquiry by completion at once.
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export interface ViscaPacket {
  readonly protocol: 'visca';
  /** 0 is the controller, 1 to 7 the cameras. */
  readonly from: number;
  /** 8: all of them. */
  readonly to: number;
  readonly payload: Uint8Array;
}

const end = 0xff;
const longest = 16;
const shortest = 3;

/** @param hears whose words it reads: a controller knows its own, which a line may give back, by their sender */
export const viscaCodec = (hears: 'cameras' | 'controller'): Codec<ViscaPacket, ViscaPacket> =>
  framing({ limit: longest, look: (window) => look(window, hears), encode });

function look(window: Uint8Array, hears: 'cameras' | 'controller'): Look<ViscaPacket> {
  const [header = 0] = window;
  if ((header & 0x80) === 0 || header === end) return bad(1, 'garbage');
  if (((header & 0x70) !== 0) !== (hears === 'cameras')) return bad(1, 'garbage');
  const at = window.subarray(0, longest).indexOf(end);
  if (at < 0) return window.length < longest ? open : bad(1, 'malformed');
  if (at + 1 < shortest) return bad(1, 'malformed');
  const payload = window.slice(1, at);
  return frame(at + 1, { protocol: 'visca', from: (header >> 4) & 0x07, to: header & 0x0f, payload });
}

const encode = ({ from, to, payload }: ViscaPacket): Uint8Array =>
  Uint8Array.from([0x80 | (from << 4) | to, ...payload, end]);

export type ViscaAnswer =
  | { readonly is: 'ack'; readonly socket: number }
  /** `data` is empty for a command, and what was asked for an inquiry. */
  | { readonly is: 'completion'; readonly socket: number; readonly data: Uint8Array }
  | { readonly is: 'error'; readonly socket: number; readonly code: number }
  | { readonly is: 'other' };

export function viscaAnswer({ payload }: ViscaPacket): ViscaAnswer {
  const [first = 0, code = 0] = payload;
  const socket = first & 0x0f;
  if (first >> 4 === 4 && payload.length === 1) return { is: 'ack', socket };
  if (first >> 4 === 5) return { is: 'completion', socket, data: payload.subarray(1) };
  return first >> 4 === 6 && payload.length === 2 ? { is: 'error', socket, code } : { is: 'other' };
}

export const bufferFull = 0x03;
export const cancelled = 0x04;
export const noSocket = 0x05;

const errors: Readonly<Record<number, string>> = {
  0x01: 'The message is too long for the camera.',
  0x02: 'The camera does not know the command.',
  [bufferFull]: 'The camera is busy with two commands.',
  [cancelled]: 'The command was cancelled.',
  [noSocket]: 'The camera has no such command under way.',
  0x41: 'The camera cannot do that now.',
};
export const viscaErrorText = (code: number): string => errors[code] ?? `The camera answers error ${code}.`;

/** 16 bits, four at a time, in the low halves of four bytes. */
export const nibbles = (value: number): readonly number[] => [12, 8, 4, 0].map((shift) => (value >> shift) & 0x0f);

export const unsigned = (bytes: Uint8Array, at: number): number =>
  [0, 1, 2, 3].reduce((value, index) => (value << 4) | ((bytes[at + index] ?? 0) & 0x0f), 0);

export const signed = (bytes: Uint8Array, at: number): number => {
  const value = unsigned(bytes, at);
  return value >= 0x8000 ? value - 0x10000 : value;
};

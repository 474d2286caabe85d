/**
 * Frames of Pelco-D, commands and extended answers alike.
 *
 *   ff  address  command 1  command 2  data 1  data 2  sum        sum over address to data 2, modulo 256
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export interface PelcoFrame {
  readonly protocol: 'pelco-d';
  readonly address: number;
  /** Camera functions: not used here, but that a frame carries them. */
  readonly command1: number;
  readonly command2: number;
  readonly data1: number;
  readonly data2: number;
}

const sync = 0xff;
const frameBytes = 7;

/** Bits of command 2 in a frame of motion; data 1 is then the speed of pan, data 2 that of tilt. */
export const motionBits = { right: 0x02, left: 0x04, up: 0x08, down: 0x10, zoomIn: 0x20, zoomOut: 0x40 } as const;
/** Command 2 of the frames with bit 0 set, which are no motion. */
export const extended = {
  setPreset: 0x03,
  clearPreset: 0x05,
  goPreset: 0x07,
  setZoomSpeed: 0x25,
  setPan: 0x4b,
  setTilt: 0x4d,
  setZoom: 0x4f,
  askPan: 0x51,
  askTilt: 0x53,
  askZoom: 0x55,
  pan: 0x59,
  tilt: 0x5b,
  zoom: 0x5d,
} as const;
export const fastest = 0x3f;

export const pelcoCodec = (): Codec<PelcoFrame, PelcoFrame> => framing({ limit: frameBytes, look, encode });

function look(window: Uint8Array): Look<PelcoFrame> {
  if (window[0] !== sync) return bad(1, 'garbage');
  if (window.length < frameBytes) return open;
  const [, address = 0, command1 = 0, command2 = 0, data1 = 0, data2 = 0, sum] = window;
  if (sumOf([address, command1, command2, data1, data2]) !== sum) return bad(1, 'checksum');
  return frame(frameBytes, { protocol: 'pelco-d', address, command1, command2, data1, data2 });
}

function encode({ address, command1, command2, data1, data2 }: PelcoFrame): Uint8Array {
  const content = [address, command1, command2, data1, data2];
  return Uint8Array.from([sync, ...content, sumOf(content)]);
}

const sumOf = (bytes: readonly number[]): number => bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;

/** @param value of two bytes, in data 1 and data 2 */
export const pelcoFrame = (address: number, command2: number, value = 0): PelcoFrame => ({
  protocol: 'pelco-d',
  address,
  command1: 0,
  command2,
  data1: (value >> 8) & 0xff,
  data2: value & 0xff,
});

export const valueOf = ({ data1, data2 }: PelcoFrame): number => (data1 << 8) | data2;

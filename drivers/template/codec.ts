/**
 * Frames of the template's device.
 *
 *   02 length kind payload… xor       length counts kind and payload; xor over length to the last payload byte
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

export type ToDevice = { readonly is: 'who' } | { readonly is: 'get' } | { readonly is: 'set'; readonly on: boolean };

export type FromDevice =
  | { readonly is: 'iam'; readonly model: string }
  /** Temperature in tenths of a degree Celsius. */
  | { readonly is: 'state'; readonly on: boolean; readonly tenths: number }
  | { readonly is: 'button'; readonly count: number };

const start = 0x02;
const longest = 36;

const kinds = { who: 0x10, get: 0x11, set: 0x12, iam: 0x90, state: 0x91, button: 0xa0 } as const;

export const hostCodec = (): Codec<FromDevice, ToDevice> => codec(readFromDevice, writeToDevice);
export const deviceCodec = (): Codec<ToDevice, FromDevice> => codec(readToDevice, writeFromDevice);

function codec<In, Out>(
  read: (kind: number, payload: Uint8Array) => In | undefined,
  write: (message: Out) => readonly number[],
): Codec<In, Out> {
  return framing({
    limit: longest,
    look: (window) => look(window, read),
    encode(message) {
      const content = write(message);
      return Uint8Array.from([start, content.length, ...content, xor([content.length, ...content])]);
    },
  });
}

function look<In>(window: Uint8Array, read: (kind: number, payload: Uint8Array) => In | undefined): Look<In> {
  if (window[0] !== start) return bad(1, 'garbage');
  const length = window[1];
  if (length === undefined) return open;
  const whole = length + 3;
  if (length === 0 || whole > longest) return bad(1, 'malformed');
  if (window.length < whole) return open;
  if (xor(window.subarray(1, whole - 1)) !== window[whole - 1]) return bad(1, 'checksum');
  const message = read(window[2] as number, window.subarray(3, whole - 1));
  return message === undefined ? bad(whole, 'malformed') : frame(whole, message);
}

const xor = (bytes: Iterable<number>): number => {
  let sum = 0;
  for (const byte of bytes) sum ^= byte;
  return sum;
};

function readFromDevice(kind: number, payload: Uint8Array): FromDevice | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (kind === kinds.iam) return { is: 'iam', model: Buffer.from(payload).toString('latin1') };
  if (kind === kinds.state && payload.length === 3)
    return { is: 'state', on: payload[0] === 1, tenths: view.getInt16(1) };
  if (kind === kinds.button && payload.length === 1) return { is: 'button', count: payload[0] as number };
  return undefined;
}

function writeToDevice(message: ToDevice): readonly number[] {
  return message.is === 'set' ? [kinds.set, message.on ? 1 : 0] : [kinds[message.is]];
}

function readToDevice(kind: number, payload: Uint8Array): ToDevice | undefined {
  if (kind === kinds.who) return { is: 'who' };
  if (kind === kinds.get) return { is: 'get' };
  return kind === kinds.set && payload.length === 1 ? { is: 'set', on: payload[0] === 1 } : undefined;
}

function writeFromDevice(message: FromDevice): readonly number[] {
  switch (message.is) {
    case 'iam':
      return [kinds.iam, ...Buffer.from(message.model, 'latin1')];
    case 'state':
      return [kinds.state, message.on ? 1 : 0, (message.tenths >> 8) & 0xff, message.tenths & 0xff];
    case 'button':
      return [kinds.button, message.count];
  }
}

/**
 * Both sides of ESC/POS.
 *
 *   to the printer      characters and commands, see commands.ts
 *   from the printer    0**1**10                 answer to DLE EOT
 *                       0**1**00 and 3 0**0****  automatic status (ASB)
 *                       0000ppnn                 answer to GS r and ESC v: the paper's sensors
 *                       5f … 00                  answer to GS I
 *                       37 22 id id id id 00     a process of GS ( H is done
 *                       37 25 00                 buffers are cleared (DLE DC4 8)
 *                       11, 13                   XON, XOFF
 *
 * There is no check value: the fixed bits alone tell one from another (ESC/POS Command Reference, "Identifying the
 * transmission data").
 */
import { bad, type Codec, frame, framing, type FramingOptions, type Look, open } from '../codec.ts';
import { type Command, commandBytes, longestCommand, lookAtCommand } from './commands.ts';

export type FromDevice =
  | { readonly is: 'realtime'; readonly status: number }
  | { readonly is: 'asb'; readonly status: readonly number[] }
  | { readonly is: 'sensors'; readonly status: number }
  | { readonly is: 'info'; readonly text: string }
  | { readonly is: 'processed'; readonly id: string }
  | { readonly is: 'cleared' }
  | { readonly is: 'flow'; readonly on: boolean };

/** Several commands are written at once. */
export type ToDevice = Command | { readonly is: 'batch'; readonly commands: readonly Command[] };

const longestAnswer = 96;
const [infoHeader, blockHeader, processed, cleared] = [0x5f, 0x37, 0x22, 0x25] as const;
const [xon, xoff] = [0x11, 0x13] as const;
/** Near end and end are told by two bits each, which are alike. */
const sensorStates = new Set([0x00, 0x03, 0x0c, 0x0f]);

export const hostCodec = (): Codec<FromDevice, ToDevice> =>
  forgetful({ limit: longestAnswer, look: lookAtAnswer, encode: bytesOf, begins: (byte) => kinds[byte] !== undefined });
export const deviceCodec = (): Codec<ToDevice, FromDevice> =>
  forgetful({ limit: longestCommand, look: lookAtCommand, encode: answerBytes });

/** After a pause what is half is given up whole: its rest looks like other answers, for nothing here is checked. */
function forgetful<In, Out>(options: FramingOptions<In, Out>): Codec<In, Out> {
  let inner = framing(options);
  return {
    push: (bytes) => inner.push(bytes),
    quiet() {
      const { pending } = inner;
      inner = framing(options);
      return { messages: [], rejected: pending > 0 ? [{ reason: 'unfinished', bytes: pending }] : [] };
    },
    encode: options.encode,
    get pending() {
      return inner.pending;
    },
    limit: options.limit,
  };
}

type Kind = 'flow' | 'realtime' | 'asb' | 'sensors' | 'info' | 'block' | undefined;

/** By the first byte: the fixed bits. */
const kinds: readonly Kind[] = Array.from({ length: 256 }, (_unused, byte) => {
  if (byte === infoHeader) return 'info';
  if (byte === blockHeader) return 'block';
  if (byte === xon || byte === xoff) return 'flow';
  if ((byte & 0x93) === 0x12) return 'realtime';
  if ((byte & 0x93) === 0x10) return 'asb';
  return sensorStates.has(byte) ? 'sensors' : undefined;
});

function lookAtAnswer(window: Uint8Array): Look<FromDevice> {
  const first = window[0] as number;
  const kind = kinds[first];
  switch (kind) {
    case 'info':
      return lookAtInfo(window);
    case 'block':
      return lookAtBlock(window);
    case 'asb':
      return lookAtAsb(window);
    case 'flow':
      return frame(1, { is: kind, on: first === xon });
    case 'realtime':
    case 'sensors':
      return frame(1, { is: kind, status: first });
    case undefined:
      return bad(1, 'garbage');
  }
}

function lookAtAsb(window: Uint8Array): Look<FromDevice> {
  const length = Math.min(4, window.length);
  for (let at = 1; at < length; at += 1) if (((window[at] as number) & 0x90) !== 0) return bad(1, 'malformed');
  return length < 4 ? open : frame(4, { is: 'asb', status: [...window.subarray(0, 4)] });
}

function lookAtInfo(window: Uint8Array): Look<FromDevice> {
  const end = window.indexOf(0);
  const text = window.subarray(1, end < 0 ? window.length : end);
  if (text.some((byte) => byte < 0x20 || byte > 0x7e)) return bad(1, 'malformed');
  if (end < 0) return open;
  return end < longestAnswer
    ? frame(end + 1, { is: 'info', text: Buffer.from(text).toString('latin1') })
    : bad(1, 'too-long');
}

function lookAtBlock(window: Uint8Array): Look<FromDevice> {
  const kind = window[1];
  if (kind === undefined) return open;
  const length = kind === processed ? 7 : 3;
  if (kind !== processed && kind !== cleared) return bad(1, 'malformed');
  if (window.length < length) return open;
  const id = window.subarray(2, length - 1);
  if (window[length - 1] !== 0 || id.some((byte) => byte < 0x20 || byte > 0x7e)) return bad(1, 'malformed');
  return frame(
    length,
    kind === cleared ? { is: 'cleared' } : { is: 'processed', id: Buffer.from(id).toString('latin1') },
  );
}

const bytesOf = (message: ToDevice): Uint8Array =>
  message.is === 'batch' ? Uint8Array.from(Buffer.concat(message.commands.map(commandBytes))) : commandBytes(message);

function answerBytes(message: FromDevice): Uint8Array {
  switch (message.is) {
    case 'realtime':
    case 'sensors':
      return Uint8Array.of(message.status);
    case 'asb':
      return Uint8Array.from(message.status);
    case 'info':
      return Uint8Array.of(infoHeader, ...Buffer.from(message.text, 'latin1'), 0);
    case 'processed':
      return Uint8Array.of(blockHeader, processed, ...Buffer.from(message.id, 'latin1'), 0);
    case 'cleared':
      return Uint8Array.of(blockHeader, cleared, 0);
    case 'flow':
      return Uint8Array.of(message.on ? xon : xoff);
  }
}

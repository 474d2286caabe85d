/**
 * The commands of ESC/POS by their length: what a program says to a printer, cut into commands, and put together again.
 *
 *   1d 56 42 03  <->  {is: 'command', op: 'GS V', args: 42 03}
 *
 * Names and lengths are those of Epson's ESC/POS Command Reference.
 */
import { bad, frame, type Look, open } from '../codec.ts';

export type Command =
  /** Characters as the printer gets them: a code page's, or GB 18030. */
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  | { readonly is: 'control'; readonly name: Control }
  | { readonly is: 'command'; readonly op: string; readonly args: Uint8Array };

const controls = { HT: 0x09, LF: 0x0a, FF: 0x0c, CR: 0x0d, CAN: 0x18 } as const;
type Control = keyof typeof controls;
const controlOf = new Map<number, Control>(Object.entries(controls).map(([name, code]) => [code, name as Control]));

/** Bytes that follow the name; a function sees those that are there, and says undefined while more decide. */
type Length = number | ((args: Uint8Array) => number | undefined);

const word = (args: Uint8Array, at: number): number | undefined =>
  args.length < at + 2 ? undefined : (args[at] as number) + (args[at + 1] as number) * 256;

/** `head` bytes, and as many as the two at `at` say, `times` over. */
const counted =
  (at: number, times = 1): Length =>
  (args) => {
    const count = word(args, at);
    return count === undefined ? undefined : at + 2 + count * times;
  };

/** Up to and with a NUL. */
const untilNul =
  (most: number, from = 0): Length =>
  (args) => {
    const end = args.indexOf(0, from);
    if (end >= 0) return end + 1;
    return args.length > most ? Infinity : undefined;
  };

/** By the first byte. */
const chosen =
  (choose: (first: number) => Length | undefined): Length =>
  (args) => {
    const [first] = args;
    if (first === undefined) return undefined;
    const length = choose(first) ?? Infinity;
    return typeof length === 'number' ? length : length(args);
  };

/** A raster: width in bytes and height in dots, both of two bytes, after `at` bytes. */
const raster =
  (at: number): Length =>
  (args) => {
    const [width, height] = [word(args, at), word(args, at + 2)];
    return width === undefined || height === undefined ? undefined : at + 4 + width * height;
  };

const bitImage: Length = chosen((mode) => counted(1, mode >= 32 ? 3 : 1));
const barCode: Length = chosen((system) =>
  system <= 6
    ? untilNul(256, 1)
    : (args: Uint8Array): number | undefined => (args[1] === undefined ? undefined : 2 + args[1]),
);
const cut: Length = chosen((mode) => ([0, 1, 48, 49].includes(mode) ? 1 : 2));
const downloadImage: Length = (args) =>
  args.length < 2 ? undefined : 2 + (args[0] as number) * (args[1] as number) * 8;
const long: Length = (args) => {
  const [low, high] = [word(args, 1), word(args, 3)];
  return low === undefined || high === undefined ? undefined : 5 + low + high * 65_536;
};

// prettier-ignore
const lengths: Readonly<Record<string, Length>> = {
  'DLE EOT': chosen((n) => (n === 7 || n === 8 || n === 18 ? 2 : 1)), 'DLE ENQ': 1,
  'DLE DC4': chosen((fn) => ({ 1: 3, 2: 3, 3: 6, 7: 2, 8: 8 })[fn]),
  'ESC @': 0, 'ESC !': 1, 'ESC $': 2, 'ESC %': 1, 'ESC *': bitImage, 'ESC -': 1, 'ESC 2': 0, 'ESC 3': 1, 'ESC =': 1,
  'ESC ?': 1, 'ESC D': untilNul(33), 'ESC E': 1, 'ESC G': 1, 'ESC J': 1, 'ESC K': 1, 'ESC L': 0, 'ESC M': 1, 'ESC R': 1,
  'ESC S': 0, 'ESC T': 1, 'ESC U': 1, 'ESC V': 1, 'ESC W': 8, 'ESC \\': 2, 'ESC a': 1, 'ESC c': 2, 'ESC d': 1,
  'ESC e': 1, 'ESC i': 0, 'ESC m': 0, 'ESC p': 3, 'ESC r': 1, 'ESC t': 1, 'ESC u': 1, 'ESC v': 0, 'ESC {': 1,
  'ESC SP': 1, 'ESC FF': 0, 'ESC (': counted(1),
  'FS !': 1, 'FS &': 0, 'FS .': 0, 'FS -': 1, 'FS C': 1, 'FS S': 2, 'FS W': 1, 'FS ?': 2, 'FS 2': 74, 'FS p': 2,
  'FS (': counted(1),
  'GS !': 1, 'GS #': 1, 'GS $': 2, 'GS (': counted(1), 'GS *': downloadImage, 'GS /': 1, 'GS :': 0, 'GS 8': long,
  'GS B': 1, 'GS E': 1, 'GS H': 1, 'GS I': 1, 'GS L': 2, 'GS P': 2, 'GS T': 1, 'GS V': cut, 'GS W': 2, 'GS \\': 2,
  'GS ^': 3, 'GS a': 1, 'GS b': 1, 'GS c': 0, 'GS f': 1, 'GS g': 4, 'GS h': 1, 'GS j': 1, 'GS k': barCode, 'GS r': 1,
  'GS v': raster(2), 'GS w': 1, 'GS x': 1, 'GS z': 3,
};

const prefixes = { DLE: 0x10, ESC: 0x1b, FS: 0x1c, GS: 0x1d } as const;
const prefixOf = new Map<number, string>(Object.entries(prefixes).map(([name, code]) => [code, name]));
const seconds = { EOT: 0x04, ENQ: 0x05, DC4: 0x14, FF: 0x0c, SP: 0x20 } as const;
const secondOf = new Map<number, string>(Object.entries(seconds).map(([name, code]) => [code, name]));

/** The longest command: a picture of the paper's width and some 1,800 dots of height. */
export const longestCommand = 131_072;
/** Characters are told in runs; one without an end is told in pieces of this many bytes. */
const longestRun = 1_024;

export function lookAtCommand(window: Uint8Array): Look<Command> {
  const [first] = window as Uint8Array & [number];
  if (first >= 0x20) return lookAtText(window);
  const control = controlOf.get(first);
  if (control) return frame(1, { is: 'control', name: control });
  const prefix = prefixOf.get(first);
  if (prefix === undefined) return bad(1, 'garbage');
  const second = window[1];
  if (second === undefined) return open;
  const op = `${prefix} ${secondOf.get(second) ?? String.fromCharCode(second)}`;
  const length = Object.hasOwn(lengths, op) ? lengths[op] : undefined;
  if (length === undefined) return bad(1, 'malformed');
  const rest = window.subarray(2);
  const count = typeof length === 'number' ? length : length(rest);
  if (count === undefined) return open;
  if (count + 2 > longestCommand) return bad(1, 'malformed');
  if (rest.length < count) return open;
  return frame(count + 2, { is: 'command', op, args: Uint8Array.from(rest.subarray(0, count)) });
}

function lookAtText(window: Uint8Array): Look<Command> {
  const end = window.subarray(0, longestRun).findIndex((byte) => byte < 0x20);
  if (end < 0 && window.length < longestRun) return open;
  const bytes = Uint8Array.from(window.subarray(0, end < 0 ? longestRun : end));
  return frame(bytes.length, { is: 'text', bytes });
}

export function commandBytes(message: Command): Uint8Array {
  if (message.is === 'text') return message.bytes;
  if (message.is === 'control') return Uint8Array.of(controls[message.name]);
  const [prefix = '', second = ''] = message.op.split(' ');
  const name = (seconds as Readonly<Record<string, number>>)[second] ?? second.charCodeAt(0);
  return Uint8Array.of((prefixes as Readonly<Record<string, number>>)[prefix] ?? 0, name, ...message.args);
}

export const command = (op: string, ...args: readonly number[]): Command => ({
  is: 'command',
  op,
  args: Uint8Array.from(args),
});
export const control = (name: Control): Command => ({ is: 'control', name });

/** What codes and payloads mean (IEC 60839-11-5, 6 and 7), as plaintext. Pure; what is malformed is undefined. */
import { type Card, formattedCard, rawCard } from './card.ts';
import { ledColors, readerStates } from './manifest.ts';

export const commandCodes = {
  poll: 0x60,
  id: 0x61,
  capabilities: 0x62,
  localStatus: 0x64,
  readerStatus: 0x67,
  led: 0x69,
  buzzer: 0x6a,
  text: 0x6b,
  keySet: 0x75,
  challenge: 0x76,
  serverCryptogram: 0x77,
} as const;

export const replyCodes = {
  ack: 0x40,
  nak: 0x41,
  identity: 0x45,
  capabilities: 0x46,
  localStatus: 0x48,
  readerStatus: 0x4b,
  raw: 0x50,
  formatted: 0x51,
  keypad: 0x53,
  clientCryptogram: 0x76,
  initialMac: 0x78,
  busy: 0x79,
} as const;

/** A command without its place in the sequence. */
export interface Command {
  readonly code: number;
  readonly payload: Uint8Array;
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const low = (value: number): number => value & 0xff;
const high = (value: number): number => (value >> 8) & 0xff;
/** In units of 100 ms. */
const tenths = (seconds: number): number => Math.round(seconds * 10);

export const poll: Command = { code: commandCodes.poll, payload: bytes() };
export const askId: Command = { code: commandCodes.id, payload: bytes(0) };
export const askCapabilities: Command = { code: commandCodes.capabilities, payload: bytes(0) };
export const askLocalStatus: Command = { code: commandCodes.localStatus, payload: bytes() };
export const askReaderStatus: Command = { code: commandCodes.readerStatus, payload: bytes() };
/** Key type 1 is SCBK. */
export const setKey = (key: Uint8Array): Command => ({
  code: commandCodes.keySet,
  payload: bytes(1, key.length, ...key),
});

export interface Led {
  readonly color: (typeof ledColors)[number];
  readonly blink: boolean;
  readonly seconds?: number | undefined;
  readonly reader: number;
  readonly led: number;
}

/** osdp_LED: temporary control, then permanent: code, on, off, their colours; the temporary one with a timer. */
export function led({ color, blink, seconds, reader, led: number }: Led): Command {
  const lit = [blink ? 3 : 10, blink ? 3 : 0, ledColors.indexOf(color), 0];
  const timer = tenths(seconds ?? 0);
  const temporary = seconds === undefined ? [1, 0, 0, 0, 0, 0, 0] : [2, ...lit, low(timer), high(timer)];
  const permanent = seconds === undefined ? [1, ...lit] : [0, 0, 0, 0, 0];
  return { code: commandCodes.led, payload: bytes(reader, number, ...temporary, ...permanent) };
}

export interface Buzzer {
  readonly seconds: number;
  readonly pause: number;
  readonly times: number;
  readonly reader: number;
}

/** osdp_BUZ; tone 2 is the default one. */
export const buzzer = ({ seconds, pause, times, reader }: Buzzer): Command => ({
  code: commandCodes.buzzer,
  payload: bytes(reader, 2, tenths(seconds), tenths(pause), times),
});

export interface Text {
  readonly text: string;
  readonly seconds?: number | undefined;
  readonly row: number;
  readonly reader: number;
}

/** osdp_TEXT; 1 for good, 3 for a time, both without wrapping. */
export const text = ({ text: shown, seconds, row, reader }: Text): Command => ({
  code: commandCodes.text,
  payload: bytes(reader, seconds === undefined ? 1 : 3, seconds ?? 0, row, 1, shown.length, ...Buffer.from(shown)),
});

export type Reply =
  | { readonly is: 'ack' }
  | { readonly is: 'nak'; readonly error: number }
  | {
      readonly is: 'identity';
      readonly vendor: string;
      readonly model: string;
      readonly serial: string;
      readonly firmware: string;
    }
  | { readonly is: 'capabilities'; readonly levels: Readonly<Record<string, number>> }
  | { readonly is: 'localStatus'; readonly tamper: boolean; readonly powerFailure: boolean }
  | { readonly is: 'readerStatus'; readonly states: readonly (typeof readerStates)[number][] }
  | { readonly is: 'card'; readonly card: Card }
  | { readonly is: 'keys'; readonly reader: number; readonly keys: string }
  | { readonly is: 'other'; readonly code: number };

/** osdp_NAK */
export const nakErrors = {
  checkValue: 1,
  length: 2,
  unknownCommand: 3,
  sequence: 4,
  noChannel: 5,
  channelNeeded: 6,
  impossible: 9,
} as const;

const nakTexts: Readonly<Record<number, string>> = {
  [nakErrors.checkValue]: 'a wrong check value',
  [nakErrors.length]: 'a wrong length',
  [nakErrors.unknownCommand]: 'it does not know the command',
  [nakErrors.sequence]: 'an unexpected sequence number',
  [nakErrors.noChannel]: 'it has no secure channel, or not with this key',
  [nakErrors.channelNeeded]: 'it wants a secure channel',
  7: 'it does not know the biometric type',
  8: 'it does not know the biometric format',
  [nakErrors.impossible]: 'it cannot carry it out',
};
export const nakText = (error: number): string => nakTexts[error] ?? `error ${error}`;

/** @returns undefined when the payload is too short for what its code promises */
export function readReply({ code, payload }: Command): Reply | undefined {
  const reader = readers[code];
  return reader ? reader(payload) : { is: 'other', code };
}

const readers: Readonly<Record<number, (payload: Uint8Array) => Reply | undefined>> = {
  [replyCodes.ack]: () => ({ is: 'ack' }),
  [replyCodes.nak]: ([error]) => (error === undefined ? undefined : { is: 'nak', error }),
  [replyCodes.identity]: readIdentity,
  [replyCodes.capabilities]: readCapabilities,
  [replyCodes.localStatus]: ([tamper, power]) =>
    tamper === undefined || power === undefined
      ? undefined
      : { is: 'localStatus', tamper: tamper !== 0, powerFailure: power !== 0 },
  [replyCodes.readerStatus]: (payload) => ({
    is: 'readerStatus',
    states: Array.from(payload, (state) => readerStates[state] ?? 'not-connected'),
  }),
  [replyCodes.raw]: (payload) => cardReply(rawCard(payload)),
  [replyCodes.formatted]: (payload) => cardReply(formattedCard(payload)),
  [replyCodes.keypad]: readKeys,
};

const cardReply = (card: Card | undefined): Reply | undefined => (card ? { is: 'card', card } : undefined);

/** osdp_PDID: vendor (an OUI) ×3, model, version, serial ×4 the low byte first, firmware ×3. */
function readIdentity(payload: Uint8Array): Reply | undefined {
  if (payload.length < 12) return undefined;
  const hex = (from: number, to: number): string => Buffer.from(payload.subarray(from, to)).toString('hex');
  return {
    is: 'identity',
    vendor: hex(0, 3),
    model: `${payload[3]}.${payload[4]}`,
    serial: Buffer.from(payload).readUInt32LE(5).toString(16).padStart(8, '0'),
    firmware: [...payload.subarray(9, 12)].join('.'),
  };
}

/** Annex B; the numbers are function codes. */
const functions: Readonly<Record<number, string>> = {
  1: 'contacts',
  2: 'outputs',
  3: 'cardFormat',
  4: 'led',
  5: 'buzzer',
  6: 'text',
  7: 'time',
  8: 'crc',
  9: 'secureChannel',
  12: 'smartCards',
  14: 'biometrics',
};
const bufferFunctions: Readonly<Record<number, string>> = { 10: 'receiveBytes', 11: 'messageBytes' };

function readCapabilities(payload: Uint8Array): Reply | undefined {
  if (payload.length % 3 !== 0) return undefined;
  const levels: Record<string, number> = {};
  for (let at = 0; at < payload.length; at += 3) {
    const [code, level, count] = payload.subarray(at, at + 3) as unknown as [number, number, number];
    const [name, size] = [functions[code], bufferFunctions[code]];
    if (name !== undefined) levels[name] = level;
    if (size !== undefined) levels[size] = level + count * 256;
    if (code === 13) levels['readers'] = count;
  }
  return { is: 'capabilities', levels };
}

/** osdp_KEYPAD: digits as ASCII; 7F is the asterisk, 0D the number sign. */
function readKeys([reader, count, ...digits]: Uint8Array): Reply | undefined {
  if (reader === undefined || count === undefined || digits.length < count) return undefined;
  const keys = digits
    .slice(0, count)
    .map((digit) => (digit === 0x7f ? '*' : digit === 0x0d ? '#' : String.fromCodePoint(digit)));
  return { is: 'keys', reader, keys: keys.join('') };
}

/**
 * Lines of the Megatec protocol: a command and a carriage return, an answer and a carriage return.
 *
 *   Q1 -> (226.0 195.0 226.0 014 49.0 27.5 30.0 00001000        status
 *   I  -> #-------------   ------     VT12046Q                  who it is
 *   F  -> #220.0 000 024.0 50.0                                 what it is made for
 *   S02R0003, C, T, Q … -> nothing; what it does not know, the device gives back
 */
import { type Codec, lineFraming, type RejectionReason } from '../codec.ts';

/** Megatec protocol information 2.7, section C.1: b7 to b0. */
export interface StatusBits {
  readonly utilityFail: boolean;
  readonly batteryLow: boolean;
  /** Bypass, or boost or buck of a line-interactive device. */
  readonly bypass: boolean;
  readonly failed: boolean;
  /** Standby or line-interactive; else on-line. */
  readonly standby: boolean;
  readonly testing: boolean;
  readonly shutdownActive: boolean;
  readonly beeper: boolean;
}

/** What the device does not measure is absent. Volt, percent, hertz, degrees Celsius. */
export interface StatusMessage extends StatusBits {
  readonly is: 'status';
  readonly inputVoltage?: number;
  readonly faultVoltage?: number;
  readonly outputVoltage?: number;
  readonly load?: number;
  readonly frequency?: number;
  /** Of the battery, or of one cell or block of it. */
  readonly batteryVoltage?: number;
  readonly temperature?: number;
}

export interface RatingMessage {
  readonly is: 'rating';
  readonly voltage: number;
  readonly current: number;
  readonly batteryVoltage: number;
  readonly frequency: number;
}

export type FromDevice =
  | StatusMessage
  | RatingMessage
  | { readonly is: 'vendor'; readonly maker: string; readonly model: string; readonly firmware: string }
  /** Of devices that say so; most say nothing. */
  | { readonly is: 'ack' }
  | { readonly is: 'nak' }
  /** A command that the device does not know, given back. */
  | { readonly is: 'echo'; readonly command: string };

export type StatusQuery = 'Q1' | 'QS';

export type ToDevice =
  | { readonly is: 'status'; readonly by: StatusQuery }
  | { readonly is: 'vendor' }
  | { readonly is: 'rating' }
  | { readonly is: 'toggle-beeper' }
  /** Absent minutes: ten seconds. */
  | { readonly is: 'test'; readonly minutes?: number }
  | { readonly is: 'test-until-low' }
  | { readonly is: 'cancel-test' }
  /** Minutes: 0.2 to 0.9 in tenths, or whole ones to 99; absent `returnMinutes`: not before the mains are back. */
  | { readonly is: 'shutdown'; readonly delayMinutes: number; readonly returnMinutes?: number }
  | { readonly is: 'cancel-shutdown' }
  | { readonly is: 'other'; readonly text: string };

const carriageReturn = 0x0d;
const longestLine = 80;

export const hostCodec = (): Codec<FromDevice, ToDevice> => lines(parseAnswer, commandText);
export const deviceCodec = (): Codec<ToDevice, FromDevice> => lines(parseCommand, answerText);

function lines<In extends object, Out>(
  parse: (text: string) => In | RejectionReason,
  write: (message: Out) => string,
): Codec<In, Out> {
  return lineFraming<In, Out>({
    limit: longestLine,
    ends: [carriageReturn],
    parse: (line) => parse(Buffer.from(line).toString('latin1')),
    encode: (message) => Uint8Array.from(Buffer.from(`${write(message)}\r`, 'latin1')),
  });
}

// what a device does not measure it fills with dashes, or another character that is no digit
const field = String.raw`([\d.]{2,6}|[-*?.]{2,6})`;
// without its bracket a status is none, and so what stands before the bracket is noise, or half of an echo
const statusLine = new RegExp(String.raw`\(${field} ${field} ${field} ${field} ${field} ${field} ${field} ([01]{8})$`);
const ratingLine = /^#(\d{1,3}\.\d) +(\d{1,3}(?:\.\d)?) +(\d{1,3}\.\d{1,2}) +(\d{2}\.\d)$/;
const vendorLine = /^#[\x20-\x7e]{27,60}$/;

function parseAnswer(text: string): FromDevice | RejectionReason {
  if (/^\(?ACK$/.test(text)) return { is: 'ack' };
  if (/^\(?NAK$/.test(text)) return { is: 'nak' };
  if (text.includes('(')) return parseStatus(text) ?? 'malformed';
  if (text.startsWith('#')) return parseRating(text) ?? parseVendor(text) ?? 'malformed';
  const command = parseCommand(text);
  if (typeof command === 'string') return 'garbage';
  return command.is === 'other' ? 'garbage' : { is: 'echo', command: text };
}

const measured = [
  'inputVoltage',
  'faultVoltage',
  'outputVoltage',
  'load',
  'frequency',
  'batteryVoltage',
  'temperature',
] as const;

function parseStatus(text: string): StatusMessage | undefined {
  const match = statusLine.exec(text);
  if (!match) return undefined;
  const numbers = measured.flatMap((name, index) => {
    const value = Number(match[index + 1]);
    return Number.isFinite(value) ? [[name, value] as const] : [];
  });
  const bits = match[8] as string;
  const bit = (place: number): boolean => bits[7 - place] === '1';
  return {
    is: 'status',
    ...Object.fromEntries(numbers),
    utilityFail: bit(7),
    batteryLow: bit(6),
    bypass: bit(5),
    failed: bit(4),
    standby: bit(3),
    testing: bit(2),
    shutdownActive: bit(1),
    beeper: bit(0),
  };
}

function parseRating(text: string): RatingMessage | undefined {
  const match = ratingLine.exec(text);
  if (!match) return undefined;
  const [voltage, current, batteryVoltage, frequency] = match.slice(1).map(Number) as [number, number, number, number];
  return { is: 'rating', voltage, current, batteryVoltage, frequency };
}

/** Fifteen, ten and ten characters, with a space between. */
function parseVendor(text: string): FromDevice | undefined {
  if (!vendorLine.test(text)) return undefined;
  const part = (from: number, to?: number): string => text.slice(from, to).trim();
  return { is: 'vendor', maker: part(1, 16), model: part(17, 27), firmware: part(28) };
}

const plainCommands: ReadonlyMap<string, ToDevice> = new Map<string, ToDevice>([
  ['Q1', { is: 'status', by: 'Q1' }],
  ['QS', { is: 'status', by: 'QS' }],
  ['I', { is: 'vendor' }],
  ['F', { is: 'rating' }],
  ['Q', { is: 'toggle-beeper' }],
  ['T', { is: 'test' }],
  ['TL', { is: 'test-until-low' }],
  ['CT', { is: 'cancel-test' }],
  ['C', { is: 'cancel-shutdown' }],
]);

function parseCommand(text: string): ToDevice | RejectionReason {
  const plain = plainCommands.get(text);
  if (plain) return plain;
  const test = /^T(\d{2})$/.exec(text);
  if (test) return { is: 'test', minutes: Number(test[1]) };
  const shutdown = /^S(\.[2-9]|\d{2})(?:R(\d{4}))?$/.exec(text);
  if (shutdown) {
    const [, delay, back] = shutdown;
    return {
      is: 'shutdown',
      delayMinutes: Number(delay),
      ...(back === undefined ? {} : { returnMinutes: Number(back) }),
    };
  }
  return /^[A-Z][\x21-\x7e]{0,15}$/.test(text) ? { is: 'other', text } : 'garbage';
}

export function commandText(message: ToDevice): string {
  switch (message.is) {
    case 'status':
      return message.by;
    case 'vendor':
      return 'I';
    case 'rating':
      return 'F';
    case 'toggle-beeper':
      return 'Q';
    case 'test':
      return message.minutes === undefined ? 'T' : `T${digits(message.minutes, 2)}`;
    case 'test-until-low':
      return 'TL';
    case 'cancel-test':
      return 'CT';
    case 'shutdown':
      return `S${delayText(message.delayMinutes)}${message.returnMinutes === undefined ? '' : `R${digits(message.returnMinutes, 4)}`}`;
    case 'cancel-shutdown':
      return 'C';
    case 'other':
      return message.text;
  }
}

const digits = (value: number, count: number): string => String(Math.round(value)).padStart(count, '0');

/** Below a minute a point and the tenths. */
const delayText = (minutes: number): string =>
  minutes > 0 && minutes < 1 ? `.${Math.round(minutes * 10)}` : digits(minutes, 2);

function answerText(message: FromDevice): string {
  switch (message.is) {
    case 'status':
      return statusText(message);
    case 'rating': {
      const { voltage, current, batteryVoltage, frequency } = message;
      return `#${fixed(voltage, 5)} ${digits(current, 3)} ${fixed(batteryVoltage, 5)} ${fixed(frequency, 4)}`;
    }
    case 'vendor':
      return `#${message.maker.padEnd(15)} ${message.model.padEnd(10)} ${message.firmware.padEnd(10)}`;
    case 'ack':
      return '(ACK';
    case 'nak':
      return '(NAK';
    case 'echo':
      return message.command;
  }
}

const fixed = (value: number | undefined, length: number, decimals = 1): string =>
  value === undefined
    ? `${'-'.repeat(length - decimals - 1)}.${'-'.repeat(decimals)}`
    : value.toFixed(decimals).padStart(length, '0');

function statusText(status: StatusMessage): string {
  const { inputVoltage, faultVoltage, outputVoltage, load, frequency, batteryVoltage, temperature } = status;
  const battery = fixed(batteryVoltage, 4, batteryVoltage !== undefined && batteryVoltage < 10 ? 2 : 1);
  const numbers = [
    ...[inputVoltage, faultVoltage, outputVoltage].map((value) => fixed(value, 5)),
    load === undefined ? '---' : digits(load, 3),
    fixed(frequency, 4),
    battery,
    fixed(temperature, 4),
  ];
  const { utilityFail, batteryLow, bypass, failed, standby, testing, shutdownActive, beeper } = status;
  const bits = [utilityFail, batteryLow, bypass, failed, standby, testing, shutdownActive, beeper];
  return `(${numbers.join(' ')} ${bits.map(Number).join('')}`;
}

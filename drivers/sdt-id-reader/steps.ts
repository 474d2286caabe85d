/** What is asked of the module, and which response can be an answer to it: the frames themselves do not say. */
import type { Command, Response } from './codec.ts';

export interface Step {
  readonly ask: Command;
  /** SW3 when it is done. */
  readonly done: number;
  /** Bytes that come with it. */
  readonly size: (bytes: number) => boolean;
  /** What only this step is refused with. */
  readonly refusals: readonly number[];
}

const ask = (command: number, parameter: number): Command => ({ command, parameter, data: new Uint8Array(0) });
const exactly = (size: number) => (bytes: number) => bytes === size;

export const moduleState: Step = { ask: ask(0x11, 0xff), done: 0x90, size: exactly(0), refusals: [] };
export const moduleNumber: Step = { ask: ask(0x12, 0xff), done: 0x90, size: exactly(16), refusals: [] };
export const find: Step = { ask: ask(0x20, 0x01), done: 0x9f, size: exactly(4), refusals: [0x80] };
export const select: Step = { ask: ask(0x20, 0x02), done: 0x90, size: exactly(8), refusals: [0x81] };
export const read: Step = {
  ask: ask(0x30, 0x01),
  done: 0x90,
  size: (bytes) => bytes >= 260,
  refusals: [0x31, 0x32, 0x33, 0x40, 0x41, 0x47, 0x91],
};

/** What any step may be refused with. */
const common: ReadonlySet<number> = new Set([0x10, 0x11, 0x21, 0x23, 0x24, 0x60, 0x66]);

export const isDone = ({ done, size }: Step, { status, data }: Response): boolean =>
  status === done && size(data.length);

/** Whether it can be the answer: a late one to another step is not. */
export const fits = (step: Step, response: Response): boolean =>
  isDone(step, response) || step.refusals.includes(response.status) || common.has(response.status);

const texts: Readonly<Record<number, string>> = {
  0x10: 'a wrong check value arrived',
  0x11: 'a wrong length arrived',
  0x21: 'the command is not known',
  0x23: 'the command is not allowed',
  0x24: 'an unknown error',
  0x31: 'the card did not accept the module',
  0x32: 'the module did not accept the card',
  0x33: 'what the card holds is not genuine',
  0x40: 'it is no card of this kind',
  0x41: 'the card could not be read; it may have been lifted too early',
  0x47: 'the card gave no random number',
  0x60: 'the module failed its self-test',
  0x66: 'the module is not authorised',
  0x80: 'no card lies there',
  0x81: 'the card could not be selected; it may have been lifted too early',
  0x91: 'the card does not hold it',
};
export const statusText = (status: number): string => texts[status] ?? `status ${status.toString(16).padStart(2, '0')}`;

/** 05.03-20080701-0001234567-0123456789: two numbers of two bytes and three of four, all little-endian. */
export function moduleNumberText(data: Uint8Array): string {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const padded = (value: number, width: number): string => String(value).padStart(width, '0');
  const [maker, kind] = [padded(view.getUint16(0, true), 2), padded(view.getUint16(2, true), 2)];
  const [date, serial, rest] = [4, 8, 12].map((at) => view.getUint32(at, true)) as [number, number, number];
  return `${maker}.${kind}-${padded(date, 8)}-${padded(serial, 10)}-${padded(rest, 10)}`;
}

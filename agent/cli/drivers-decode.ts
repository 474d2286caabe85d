/** `outpost drivers decode`: a recording through a driver's codec, one line a message and reading. */
import { createReadStream } from 'node:fs';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { Decoded, Rejection } from '#drivers/codec.ts';
import type { DecodedLine, Driver, Manifest, Observation } from '#drivers/driver.ts';
import { parseOptions } from '#drivers/options.ts';
import { loadDriver } from '#drivers/registry.ts';
import { writePicture } from './device-picture.ts';
import type { DecodeChoice } from './drivers.ts';
import { note, print } from './output.ts';

interface Line extends DecodedLine {
  readonly property?: string;
  readonly event?: string;
  readonly personal?: true;
}

/** Lines that are gathered before they are written: a recording has many, and a terminal takes its time. */
const linesAtOnce = 512;

/** @throws OutpostError `driver-unknown`, `driver-options`, `recording-unreadable`, `picture-unwritable` */
export async function decode(name: string, file: string, choice: DecodeChoice): Promise<void> {
  const { options, from, picture, json = false } = choice;
  const driver = await loadDriver(name);
  const parsed = parseOptions(driver, options ?? driver.example);
  const protocol = driver.protocol(parsed);
  const codec = from === 'device' ? protocol.host() : protocol.device();
  const double = picture === undefined || from === 'device' ? undefined : driver.simulator(parsed);
  const linesOf = lineMaker(driver, parsed, from);
  const waiting: string[] = [];
  let rejectedBytes = 0;
  const flush = (): void => {
    if (waiting.length > 0) print(waiting.splice(0).join('\n'));
  };
  const tell = ({ messages, rejected }: Decoded<unknown>): void => {
    for (const rejection of rejected) rejectedBytes += rejection.bytes;
    for (const message of messages) double?.receive(message);
    for (const line of [...rejected.map(rejectionLine), ...messages.flatMap((message) => linesOf(message))]) {
      waiting.push(json ? JSON.stringify(line, plainBytes) : textOf(line));
      if (waiting.length >= linesAtOnce) flush();
    }
  };
  for await (const chunk of readChunks(file)) tell(codec.push(chunk));
  tell(codec.quiet());
  for (const line of linesOf(undefined)) waiting.push(json ? JSON.stringify(line, plainBytes) : textOf(line));
  flush();
  if (double && picture !== undefined) await writePicture(double, picture);
  if (rejectedBytes > 0 && !json) note(`${rejectedBytes} bytes are no ${driver.name}.`);
}

async function* readChunks(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? process.stdin : (createReadStream(file) as AsyncIterable<Uint8Array>);
  } catch (cause) {
    throw new OutpostError('recording-unreadable', `${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

const rejectionLine = ({ reason, bytes }: Rejection): Line & Rejection => ({ type: 'rejected', reason, bytes });

function lineMaker(driver: Driver, options: unknown, from: string): (message: unknown) => readonly Line[] {
  const decoder = from === 'device' ? driver.decoder(options) : undefined;
  const manifest = driver.manifest(options);
  return (message) => {
    const made = (decoder?.(message) ?? []).map((told) => ('is' in told ? observationLine(told, manifest) : told));
    if (message === undefined) return made;
    const shown = driver.show && from === 'device' ? driver.show(message) : message;
    return [{ type: 'message', message: shown } as Line, ...made];
  };
}

/** What is a person's is said to be there, and not shown. */
function observationLine(told: Observation, { properties, events }: Manifest): Line {
  const { is, ...rest } = told;
  if (told.is === 'reading')
    return properties[told.property]?.personal
      ? { type: is, property: told.property, personal: true }
      : { type: is, ...rest };
  return events[told.event]?.personal ? { type: is, event: told.event, personal: true } : { type: is, ...rest };
}

const plainBytes = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;

function textOf({ type, ...rest }: Line): string {
  const cells = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value, plainBytes)}`);
  return `${type.padEnd(9)} ${cells.join(' ')}`;
}

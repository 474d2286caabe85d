/** `outpost drivers probe`, `watch` and `do`: one device on one line, worked by hand. */
import { systemClock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { createLog } from '#agent/core/log.ts';
import type { Reading } from '#agent/domain/reading.ts';
import { Bus } from '#drivers/bus.ts';
import { isWeighty } from '#drivers/command.ts';
import type { Driver, Identity, LineNeeds, Outcome, Property } from '#drivers/driver.ts';
import { openPeripheral, openPort } from '#drivers/open.ts';
import { parseOptions } from '#drivers/options.ts';
import { parsePort, portForms, type PortSpec } from '#drivers/port.ts';
import { driverNames, loadDriver } from '#drivers/registry.ts';
import { Session, type SessionEvent } from '#drivers/session.ts';
import type { LineChoice } from './drivers.ts';
import { exitCodes, note, print, printJson } from './output.ts';

const clock = systemClock;

interface Told {
  readonly onReading?: (reading: Reading, property: Property) => void;
  readonly onEvent?: (event: SessionEvent) => void;
}

function specOf({ port }: LineChoice): PortSpec {
  const spec = parsePort(port);
  if (spec && spec.is !== 'ask') return spec;
  throw new OutpostError('port-unusable', `${port} is no port.`, {
    hint: `Write ${portForms.replace(', or ask', '')}.`,
  });
}

const lineOf = ({ baud, parity }: LineChoice): Partial<LineNeeds> => ({
  ...(baud === undefined ? {} : { baudRate: baud }),
  ...(parity === undefined ? {} : { parity }),
});

/** Opens, asks who is there, does `work`, and lets go. */
async function withSession<T>(
  driver: Driver,
  choice: LineChoice,
  told: Told,
  signal: AbortSignal,
  work: (session: Session, identity: Identity) => Promise<T>,
): Promise<T> {
  const options = parseOptions(driver, choice.options ?? {});
  const line = { ...driver.manifest(options).line, ...lineOf(choice) };
  await using transport = await openPort(specOf(choice), line, clock, signal);
  const bus = new Bus(transport, clock);
  using opened = openPeripheral({
    driver,
    options,
    bus,
    clock,
    log: createLog('warn'),
    line,
    ...(choice.echo ? { echo: true } : {}),
  });
  const session = new Session({ opened, id: driver.name, clock, ...told });
  return await work(session, await session.open(signal));
}

export async function probe(name: string | undefined, choice: LineChoice, signal: AbortSignal): Promise<void> {
  let found = 0;
  for (const each of name === undefined ? driverNames : [name]) {
    if (signal.aborted) break;
    const result = await ask(await loadDriver(each), choice, signal, name !== undefined);
    if (!('identity' in result)) {
      if (choice.json) printJson(result);
      else print(`${each.padEnd(16)} no: ${result.refused}`);
      continue;
    }
    found += 1;
    if (choice.json) printJson(result);
    else print(`${each.padEnd(16)} yes: ${Object.values(result.identity).join(', ')}`);
  }
  if (found === 0) process.exitCode = exitCodes.negative;
}

/** A port that cannot be opened is told at once: no other driver would have more luck. */
async function ask(
  driver: Driver,
  choice: LineChoice,
  signal: AbortSignal,
  isNamed: boolean,
): Promise<{ readonly driver: string } & ({ readonly identity: Identity } | { readonly refused: string })> {
  try {
    const identity = await withSession(
      driver,
      choice,
      {},
      signal,
      async (_session, known) => await Promise.resolve(known),
    );
    return { driver: driver.name, identity };
  } catch (thrown) {
    signal.throwIfAborted();
    const code = thrown instanceof OutpostError ? thrown.code : undefined;
    const isOfPort = code?.startsWith('port-') ?? false;
    if (isOfPort || (isNamed && code === 'driver-options')) throw thrown;
    return { driver: driver.name, refused: messageOf(thrown) };
  }
}

export interface WatchChoice extends LineChoice {
  readonly seconds?: number;
  /** What is about a person is printed too. */
  readonly personal?: boolean;
}

export async function watch(name: string, choice: WatchChoice, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort(), { once: true });
  if (choice.seconds !== undefined) {
    void clock.sleep(choice.seconds * 1_000, stop.signal).then(
      () => stop.abort(),
      () => undefined,
    );
  }
  const told: Told = {
    onReading: (reading, { personal = false }) => print(readingLine(reading, personal && !choice.personal, choice)),
    onEvent: (event) => print(eventLine(event, event.personal && !choice.personal, choice)),
  };
  await withSession(await loadDriver(name), choice, told, signal, async (session, identity) => {
    note(`${identity.model}${identity.firmware === undefined ? '' : `, firmware ${identity.firmware}`}`);
    await session.run(stop.signal);
  });
}

function readingLine(
  { property, value, unit, quality, wallMs }: Reading,
  isHidden: boolean,
  { json }: WatchChoice,
): string {
  const at = new Date(wallMs).toISOString();
  if (json) {
    const shown = isHidden ? { personal: true } : { value };
    return JSON.stringify({ type: 'reading', property, ...shown, unit, quality, at });
  }
  const shown = isHidden ? '(personal)' : JSON.stringify(value);
  return `${at}  ${property.padEnd(18)} ${shown} ${unit ?? ''}${quality === 'good' ? '' : ` (${quality})`}`;
}

function eventLine({ event, data }: SessionEvent, isHidden: boolean, { json }: WatchChoice): string {
  if (json) return JSON.stringify({ type: 'event', event, ...(isHidden ? { personal: true } : { data }) });
  return `event ${event} ${isHidden ? '(personal)' : JSON.stringify(data)}`;
}

export interface Deed {
  readonly name: string;
  readonly action: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly choice: LineChoice & { readonly yes?: boolean };
}

export async function act({ name, action, args, choice }: Deed, signal: AbortSignal): Promise<void> {
  const driver = await loadDriver(name);
  const declared = driver.manifest(parseOptions(driver, choice.options ?? {})).actions[action];
  if (declared && isWeighty(declared) && !choice.yes) {
    note(`${action} is of class ${declared.safety}: look that nobody is in its way, then say --yes.`);
    process.exitCode = exitCodes.usage;
    return;
  }
  const outcome = await withSession(
    driver,
    choice,
    {},
    signal,
    async (session) => await session.command(action, args, signal),
  );
  if (choice.json) printJson({ action, ...outcome });
  else print(outcomeText(outcome));
  if (outcome.status === 'rejected') process.exitCode = exitCodes.negative;
  else if (outcome.status !== 'acknowledged') process.exitCode = exitCodes.peer;
}

function outcomeText(outcome: Outcome): string {
  if (outcome.status === 'acknowledged')
    return `acknowledged ${outcome.result ? JSON.stringify(outcome.result) : ''}`.trimEnd();
  const advice =
    outcome.status === 'unknown'
      ? '\nIt may or may not have happened: look at the device before you say it again.'
      : '';
  return `${outcome.status}: ${outcome.reason}${advice}`;
}

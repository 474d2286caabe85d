/**
 * `outpost simulate NAME`: a driver's double, plugged in where any program can open it.
 *
 *   simulator --[ fault, from when, for how long ]--> pseudo terminal with a link | serial port | TCP
 */
import { lstat } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { onAbort } from '#agent/core/abort.ts';
import { systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { systemRandom } from '#agent/core/random.ts';
import type { Driver } from '#drivers/driver.ts';
import { parseOptions } from '#drivers/options.ts';
import { parsePort } from '#drivers/port.ts';
import { openPty } from '#drivers/pty.ts';
import { loadDriver } from '#drivers/registry.ts';
import { openSerial } from '#drivers/serial-transport.ts';
import { type FaultName, type Faults, simulate, type Simulator } from '#drivers/simulator.ts';
import { TcpTransport } from '#drivers/tcp-transport.ts';
import type { Transport } from '#drivers/transport.ts';
import { keepPicture } from './device-picture.ts';
import { note, print, printJson } from './output.ts';

const clock = systemClock;

export interface DeviceChoice {
  readonly port: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly fault?: FaultName;
  /** Of the driver's manifest: it happens once. */
  readonly event?: string;
  /** ms */
  readonly after: number;
  /** ms; absent: for good */
  readonly for?: number;
  readonly slowBy: number;
  /** A PNG file. */
  readonly picture?: string;
  readonly json?: boolean;
}

interface Play {
  readonly driver: Driver;
  readonly options: unknown;
  readonly simulator: Simulator<unknown, unknown>;
  readonly choice: DeviceChoice;
  readonly startedMs: number;
  hasHappened: boolean;
}

/** @throws OutpostError `driver-unknown`, `driver-options`, `port-unusable`, `pty-unavailable`, `picture-unwritable` */
export async function simulateDevice(name: string, choice: DeviceChoice, signal: AbortSignal): Promise<void> {
  const driver = await loadDriver(name);
  const options = parseOptions(driver, choice.options ?? driver.example);
  const simulator = driver.simulator(options);
  refuseUnknownEvent(driver, options, choice.event);
  const play: Play = { driver, options, simulator, choice, startedMs: clock.monoMs(), hasHappened: false };
  if (choice.picture === undefined) {
    await playAt(play, signal);
    return;
  }
  const stop = new AbortController();
  using _listening = onAbort(signal, () => stop.abort());
  const end = (): void => stop.abort();
  await Promise.all([
    keepPicture(play.simulator, choice.picture, clock, stop.signal).finally(end),
    playAt(play, stop.signal).finally(end),
  ]);
}

function refuseUnknownEvent(driver: Driver, options: unknown, event: string | undefined): void {
  const events = Object.keys(driver.manifest(options).events);
  if (event === undefined || events.includes(event)) return;
  throw new OutpostError('driver-options', `${driver.name} tells no event ${event}.`, {
    hint: events.length > 0 ? `It tells ${events.join(', ')}.` : 'It tells none: what it measures are properties.',
  });
}

async function playAt(play: Play, signal: AbortSignal): Promise<void> {
  const { choice } = play;
  const spec = parsePort(choice.port);
  if (spec?.is === 'tcp') await listen(spec.host, spec.port, play, signal);
  else if (spec?.is === 'path') await plugIn(spec.path, play, signal);
  else throw new OutpostError('port-unusable', `${choice.port} is no path and no tcp://HOST:PORT.`);
}

/** Where nothing is, a pseudo terminal is made; a device that is there is used as it is (a null modem's other end). */
async function plugIn(path: string, play: Play, signal: AbortSignal): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isCharacterDevice()) {
    await using transport = await openSerial(path, play.driver.manifest(play.options).line, clock);
    told(play, path);
    await run(transport, play, signal);
    return;
  }
  if (found && !found.isSymbolicLink()) throw new OutpostError('port-unusable', `${path} is a file, and no port.`);
  while (!signal.aborted) {
    if (isFaulty(play) && play.choice.fault === 'unplugged') await untilPlugged(play, signal);
    if (signal.aborted) return;
    await using pty = openPty(clock, path);
    told(play, path);
    await run(pty, play, signal);
  }
}

async function listen(host: string, port: number, play: Play, signal: AbortSignal): Promise<void> {
  const server = createServer((socket: Socket) => {
    socket.setNoDelay(true);
    void run(new TcpTransport(`tcp ${socket.remotePort ?? ''}`, socket), play, signal);
  });
  server.listen(port, host);
  await once(server, 'listening', { signal });
  told(play, play.choice.port);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  server.close();
}

function told({ driver, choice }: Play, where: string): void {
  if (choice.json) printJson({ driver: driver.name, port: where });
  else print(`${driver.name} at ${where}`);
}

/** Until it is over, or the plug is pulled as the fault says. */
async function run(transport: Transport, play: Play, signal: AbortSignal): Promise<void> {
  const { driver, options, simulator, choice } = play;
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort(), { once: true });
  if (choice.fault === 'unplugged' && !hasPassed(play)) {
    const left = Math.max(0, play.startedMs + choice.after - clock.monoMs());
    void clock.sleep(left, stop.signal).then(
      () => {
        note('unplugged');
        stop.abort();
      },
      () => undefined,
    );
  }
  const codec = driver.protocol(options).device();
  const happening = happen(play, async (message) => await transport.write(codec.encode(message)), stop.signal);
  await simulate(
    {
      simulator,
      codec,
      transport,
      clock,
      random: systemRandom,
      faults: () => (isFaulty(play) ? faultsOf(choice) : {}),
    },
    stop.signal,
  );
  stop.abort();
  await happening;
  await transport[Symbol.asyncDispose]();
}

/** The event, once, when its time has come; what is polled tells it when it is asked. */
async function happen(play: Play, say: (message: unknown) => Promise<void>, signal: AbortSignal): Promise<void> {
  const { simulator, choice } = play;
  if (choice.event === undefined || play.hasHappened) return;
  try {
    await clock.sleep(Math.max(0, choice.after - sinceMs(play)), signal);
    play.hasHappened = true;
    for (const message of simulator.provoke?.(choice.event) ?? []) await say(message);
    note(choice.event);
  } catch {
    // it was over before
  }
}

const sinceMs = ({ startedMs }: Play): number => clock.monoMs() - startedMs;
const hasPassed = (play: Play): boolean =>
  play.choice.for !== undefined && sinceMs(play) >= play.choice.after + play.choice.for;
const isFaulty = (play: Play): boolean =>
  play.choice.fault !== undefined && sinceMs(play) >= play.choice.after && !hasPassed(play);

async function untilPlugged(play: Play, signal: AbortSignal): Promise<void> {
  const { after, for: lasts } = play.choice;
  const left = lasts === undefined ? 2 ** 31 - 1 : after + lasts - sinceMs(play);
  await clock.sleep(Math.max(0, left), signal).catch(() => undefined);
}

/** `unplugged` is the plug's affair. */
function faultsOf({ fault, slowBy }: DeviceChoice): Faults {
  return {
    silent: fault === 'silent',
    garbled: fault === 'garbled',
    duplicated: fault === 'duplicated',
    slowMs: fault === 'slow' ? slowBy : 0,
    echo: fault === 'echoing' ? 1 : 0,
  };
}

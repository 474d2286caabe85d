/**
 * One configured peripheral through all its connections: opened, asked, watched, lost, opened again with backoff.
 *
 *   waiting -> opening -> identifying -> configuring -> ready <-> degraded -> lost -> (backoff) opening …
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Service } from '#agent/core/supervisor.ts';
import type { Reading } from '#agent/domain/reading.ts';
import type { PeripheralConfig } from '#config/schema.ts';
import type { Action, Driver, Identity, LineNeeds, Outcome, Property } from '#drivers/driver.ts';
import type { LinkFigures } from '#drivers/link.ts';
import { openPeripheral, type OpenedPeripheral } from '#drivers/open.ts';
import { parseOptions } from '#drivers/options.ts';
import { parsePort, pathsOf, type PortSpec } from '#drivers/port.ts';
import { Session, type SessionEvent, type SessionPhase } from '#drivers/session.ts';
import type { HeldBus, SharedPorts } from './shared-ports.ts';

export type UnitPhase = 'waiting' | 'opening' | SessionPhase | 'lost';

export interface UnitOptions {
  readonly config: PeripheralConfig;
  readonly loadDriver: (name: string) => Promise<Driver>;
  readonly ports: SharedPorts;
  readonly clock: Clock;
  readonly log: Log;
  readonly isHealthy: () => boolean;
  readonly onReading: (reading: Reading, property: Property) => void;
  readonly onEvent: (event: SessionEvent) => void;
  readonly onPhase: (phase: UnitPhase, error: OutpostError | undefined) => void;
}

/** A connection that held this long was a good one: the next loss starts the backoff anew. */
const healthyAfterMs = 30_000;

export class Unit {
  readonly #options: UnitOptions;
  #phase: UnitPhase = 'waiting';
  #session: Session | undefined;
  #opened: OpenedPeripheral | undefined;
  #identity: Identity | undefined;
  #connections = 0;
  #before: Counted = nothingYet;

  constructor(options: UnitOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.config.id;
  }

  get phase(): UnitPhase {
    return this.#phase;
  }

  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** Connections that were had. */
  get connections(): number {
    return this.#connections;
  }

  get port(): string | undefined {
    return this.#opened === undefined ? undefined : this.#options.config.port;
  }

  /** Of the connection that is open; undefined without one. */
  get figures(): LinkFigures | undefined {
    return this.#opened?.link.figures();
  }

  /** Counted over all connections. */
  get counted(): Counted {
    return sum(this.#before, this.#opened?.link.figures());
  }

  /** Commands that wait. */
  get queued(): number {
    return this.#session?.waiting ?? 0;
  }

  action(name: string): Action | undefined {
    const actions = this.#opened?.manifest.actions ?? {};
    return Object.hasOwn(actions, name) ? actions[name] : undefined;
  }

  async command(name: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    const session = this.#session;
    const isReady = this.#phase === 'ready' || this.#phase === 'degraded';
    if (!session || !isReady) return { status: 'rejected', reason: `${this.id} is ${this.#phase}.` };
    return await session.command(name, args, signal);
  }

  async read(property: string, signal: AbortSignal): Promise<Reading | undefined> {
    return await this.#session?.read(property, signal);
  }

  service(): Service {
    return {
      name: `peripheral/${this.id}`,
      // a device may be switched off for days: it is tried for ever, and never given up
      policy: { healthyAfterMs, maxPerMinute: Infinity, maxPerHour: Infinity, maxBackoffMs: 30_000 },
      run: async (signal) => await this.#run(signal),
      onFailure: (error) => this.#become('lost', error),
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { config, loadDriver, ports } = this.#options;
    this.#become('opening');
    const driver = await loadDriver(config.driver);
    const options = parseOptions(driver, config.options);
    const line = lineOf(driver.manifest(options).line, config.line);
    const spec = parsePort(config.port);
    if (!spec) throw new OutpostError('port-unusable', `${config.port} is no port.`);
    const setup = { driver, options, line };
    for (const place of await placesOf(spec)) {
      await using held = await this.#takeIfFree(ports, place, line, spec.is === 'ask', signal);
      if (held && (await this.#live(held, setup, spec.is === 'ask', signal))) return;
    }
    if (!signal.aborted) throw new OutpostError('port-missing', `No ${config.driver} answers at any free port.`);
  }

  /** While asking around, a port that is held is none of ours. */
  async #takeIfFree(
    ports: SharedPorts,
    spec: PortSpec,
    line: LineNeeds,
    isAsking: boolean,
    signal: AbortSignal,
  ): Promise<HeldBus | undefined> {
    try {
      return await ports.take(spec, line, signal);
    } catch (thrown) {
      if (!isAsking) throw thrown;
      signal.throwIfAborted();
      return undefined;
    }
  }

  /** @returns false when, asking around, it is somebody else's device */
  async #live(
    { bus }: HeldBus,
    { driver, options, line }: Setup,
    isAsking: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { config, clock, log, isHealthy, onReading, onEvent } = this.#options;
    using opened = openPeripheral({ driver, options, bus, clock, log, line, echo: config.line.echo, isHealthy });
    const session = new Session({
      opened,
      id: config.id,
      clock,
      onReading,
      onEvent,
      onPhase: (phase) => this.#become(phase),
    });
    try {
      this.#opened = opened;
      this.#identity = await session.open(signal);
      this.#refuseOther(this.#identity);
      this.#session = session;
      this.#connections += 1;
      log.info('A peripheral is ready.', { peripheral: config.id, driver: driver.name, port: bus.transport.name });
      await session.run(signal);
      return true;
    } catch (thrown) {
      if (isAsking && this.#session !== session && toOutpostError(thrown).code === 'device-foreign') return false;
      throw thrown;
    } finally {
      this.#before = sum(this.#before, opened.link.figures());
      this.#session = undefined;
      this.#opened = undefined;
    }
  }

  /** Two of a kind are told apart by their serial numbers alone. */
  #refuseOther({ serial = 'none' }: Identity): void {
    const wanted = this.#options.config.serial;
    if (wanted === undefined || serial === wanted) return;
    throw new OutpostError('device-foreign', `The device has serial number ${serial}, and not ${wanted}.`);
  }

  #become(phase: UnitPhase, error?: OutpostError): void {
    this.#phase = phase;
    this.#options.onPhase(phase, error);
  }
}

interface Setup {
  readonly driver: Driver;
  readonly options: unknown;
  readonly line: LineNeeds;
}

const placesOf = async (spec: PortSpec): Promise<readonly PortSpec[]> =>
  spec.is === 'ask' ? (await pathsOf(spec)).map((path) => ({ is: 'path', path })) : [spec];

function lineOf(line: LineNeeds, { answer, turnaround, echo: _echo, ...own }: PeripheralConfig['line']): LineNeeds {
  const said = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) as Partial<LineNeeds>;
  return {
    ...line,
    ...said,
    ...(answer > 0 ? { answerMs: answer } : {}),
    ...(turnaround > 0 ? { turnaroundMs: turnaround } : {}),
  };
}

export type Counted = Pick<
  LinkFigures,
  'messages' | 'checksumErrors' | 'resyncs' | 'rejectedBytes' | 'requests' | 'timeouts' | 'dropped'
>;

const nothingYet: Counted = {
  messages: 0,
  checksumErrors: 0,
  resyncs: 0,
  rejectedBytes: 0,
  requests: 0,
  timeouts: 0,
  dropped: 0,
};

const sum = (before: Counted, now: Counted = nothingYet): Counted => ({
  messages: before.messages + now.messages,
  checksumErrors: before.checksumErrors + now.checksumErrors,
  resyncs: before.resyncs + now.resyncs,
  rejectedBytes: before.rejectedBytes + now.rejectedBytes,
  requests: before.requests + now.requests,
  timeouts: before.timeouts + now.timeouts,
  dropped: before.dropped + now.dropped,
});

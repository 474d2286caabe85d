/**
 * Many devices in one process, under load and scripted outages, until everything is acknowledged.
 *
 *   open -> all on the line -> load, with outages -> lines stay up: drain -> report
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { systemClock } from '#agent/core/clock.ts';
import { openBroker, type DemoBroker } from '../demo-broker.ts';
import { Arrivals } from './arrivals.ts';
import { Device, type FleetUplink } from './device.ts';
import { isOff, type Outage } from './outages.ts';

export interface FleetOptions {
  readonly devices: number;
  /** How long the load lasts. */
  readonly seconds: number;
  /** Events a second of each device. */
  readonly rate: number;
  readonly outages: readonly Outage[];
  /** Address of a broker, or `embedded`. */
  readonly broker: string;
  /** Begins the devices' ids. */
  readonly prefix: string;
  readonly uplink: FleetUplink;
  readonly storeBytes: number;
  /** How long the drain after the load may take. */
  readonly settleMs: number;
  /** Where the stores are made; default: the system's temporary folder. */
  readonly folder?: string;
  readonly onProgress?: (progress: FleetProgress) => void;
}

export interface FleetProgress {
  readonly phase: 'starting' | 'load' | 'drain';
  /** Since the phase began. */
  readonly seconds: number;
  readonly devices: number;
  readonly online: number;
  readonly appended: number;
  readonly acknowledged: number;
  readonly waiting: number;
}

export interface FleetReport {
  readonly devices: number;
  readonly custody: 'broker' | 'consumer';
  readonly loadSeconds: number;
  readonly drainSeconds: number;
  /** Events whose producers were told that they are on the disk. */
  readonly appended: number;
  /** Events whose producers were told that they are not. */
  readonly refused: number;
  readonly refusal: string | undefined;
  /** Left the stores: on PUBACK, or on the consumer's word. */
  readonly acknowledged: number;
  readonly waiting: number;
  readonly eventsPerSecond: number;
  readonly appendMs: { readonly p50: number; readonly p99: number };
  /** Lines that were had beyond the first two of each device. */
  readonly reconnects: number;
  /** During the load, all threads together; 1 is one core. The embedded broker and the gates are in it. */
  readonly cores: number;
  /** Resident bytes of this process at the end of the load. */
  readonly rssBytes: number;
  /** By the embedded broker: each number once, those that came again, given up and declared, and lost. */
  readonly arrivals:
    | { readonly received: number; readonly again: number; readonly declared: number; readonly lost: number }
    | undefined;
  /** Of a device that has events waiting at the end, and no line. */
  readonly lastError: { readonly code: string; readonly message: string; readonly hint: string } | undefined;
}

const tickMs = 50;
const progressEveryMs = 2_000;
/** Each on the line, or its first try failed, before the load begins. */
const startLimitMs = 30_000;
/** Stores that are opened at a time: each begins with some fsyncs. */
const openAtOnce = 8;

/** Ends early, with what was had until then, when aborted. @throws OutpostError when a store cannot be opened */
export async function simulateFleet(options: FleetOptions, signal: AbortSignal): Promise<FleetReport> {
  const arrivals = new Arrivals();
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), 'outpost-fleet-'));
  const embedded = options.broker === 'embedded' ? await openBroker((event) => arrivals.take(event)) : undefined;
  const fleet = new Fleet(options, folder, embedded, signal);
  try {
    await fleet.open();
    return await fleet.run(arrivals);
  } finally {
    await fleet[Symbol.asyncDispose]();
    await embedded?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #folder: string;
  readonly #embedded: DemoBroker | undefined;
  readonly #signal: AbortSignal;
  readonly #devices: Device[] = [];
  readonly #appendUs = createHistogram();

  constructor(options: FleetOptions, folder: string, embedded: DemoBroker | undefined, signal: AbortSignal) {
    this.#options = options;
    this.#folder = folder;
    this.#embedded = embedded;
    this.#signal = signal;
  }

  async open(): Promise<void> {
    const { devices, prefix, broker, uplink, outages, storeBytes } = this.#options;
    let next = 0;
    const openSome = async (): Promise<void> => {
      while (next < devices && !this.#signal.aborted) {
        const id = `${prefix}-${String((next += 1)).padStart(4, '0')}`;
        const device = await Device.open({
          id,
          folder: join(this.#folder, id),
          brokerUrl: this.#embedded?.url ?? broker,
          hasGate: outages.length > 0,
          storeBytes,
          uplink,
          appendUs: this.#appendUs,
        });
        this.#devices.push(device);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: openAtOnce }, openSome));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async run(arrivals: Arrivals): Promise<FleetReport> {
    const { seconds } = this.#options;
    const hasTried = ({ isOnline, uplink }: Device): boolean => isOnline || uplink.lastError !== undefined;
    await this.#phase('starting', startLimitMs, () => this.#devices.every(hasTried));
    const connections = this.#connections();
    const cpu = process.cpuUsage();
    const loadMs = await this.#load(seconds * 1_000);
    const { user, system } = process.cpuUsage(cpu);
    const rssBytes = process.memoryUsage.rss();
    const drainMs = await this.#phase('drain', this.#options.settleMs, () => this.#sum(({ waiting }) => waiting) === 0);
    const appended = this.#sum((device) => device.appended);
    return {
      devices: this.#devices.length,
      custody: this.#options.uplink.consumers.length > 0 ? 'consumer' : 'broker',
      loadSeconds: loadMs / 1_000,
      drainSeconds: drainMs / 1_000,
      appended,
      refused: this.#sum(({ refused }) => refused),
      refusal: this.#devices.find(({ refusal }) => refusal !== undefined)?.refusal,
      acknowledged: this.#sum(acknowledgedOf),
      waiting: this.#sum(({ waiting }) => waiting),
      eventsPerSecond: appended / (loadMs / 1_000),
      appendMs: { p50: this.#appendUs.percentile(50) / 1_000, p99: this.#appendUs.percentile(99) / 1_000 },
      reconnects: this.#connections() - connections,
      cores: (user + system) / 1_000 / loadMs,
      rssBytes,
      arrivals: this.#embedded && { ...countsOf(arrivals), lost: this.#lost(arrivals) },
      lastError: this.#devices.find(({ isOnline, waiting }) => !isOnline && waiting > 0)?.uplink.lastError,
    };
  }

  /** @returns how long it took, in ms */
  async #load(limitMs: number): Promise<number> {
    const ending = new AbortController();
    const stop = AbortSignal.any([this.#signal, ending.signal]);
    const producing = this.#devices.map(async (device) => await device.produce(this.#options.rate, stop));
    const tookMs = await this.#phase('load', limitMs, (ms) => {
      this.#cut(ms);
      return false;
    });
    ending.abort();
    await Promise.all(producing);
    for (const { gate } of this.#devices) gate?.shut(false);
    return tookMs;
  }

  #cut(ms: number): void {
    for (const [index, { gate }] of this.#devices.entries()) {
      gate?.shut(isOff(this.#options.outages, ms, index / this.#devices.length));
    }
  }

  /** Until the time is over, it is done, or all is to end. @returns how long it took, in ms */
  async #phase(phase: FleetProgress['phase'], limitMs: number, isDone: (ms: number) => boolean): Promise<number> {
    const begin = systemClock.monoMs();
    let [ms, toldMs] = [0, 0];
    while (ms < limitMs && !this.#signal.aborted && !isDone(ms)) {
      if (ms - toldMs >= progressEveryMs) {
        toldMs = ms;
        this.#tell(phase, ms);
      }
      await systemClock.sleep(Math.min(tickMs, limitMs - ms), this.#signal).catch(() => undefined);
      ms = systemClock.monoMs() - begin;
    }
    return ms;
  }

  #tell(phase: FleetProgress['phase'], ms: number): void {
    this.#options.onProgress?.({
      phase,
      seconds: Math.round(ms / 1_000),
      devices: this.#devices.length,
      online: this.#devices.filter(({ isOnline }) => isOnline).length,
      appended: this.#sum(({ appended }) => appended),
      acknowledged: this.#sum(acknowledgedOf),
      waiting: this.#sum(({ waiting }) => waiting),
    });
  }

  #connections(): number {
    return this.#sum(({ uplink }) => uplink.connections);
  }

  /** Numbers that left a store, never arrived, and were not declared as given up. */
  #lost(arrivals: Arrivals): number {
    const missing = this.#sum(({ id, outbox }) =>
      outbox.slots.reduce((sum, { epoch, lane, first, last }) => {
        const next = first > 0 ? first : last + 1;
        return sum + next - 1 - arrivals.below(`/outpost/${id}`, epoch, lane, next);
      }, 0),
    );
    return Math.max(0, missing - arrivals.declared);
  }

  #sum(of: (device: Device) => number): number {
    return this.#devices.reduce((sum, device) => sum + of(device), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#devices.map(async (device) => await device[Symbol.asyncDispose]()));
  }
}

/** With custody `consumer` PUBACKs of what is sent again count again: there, what left the store. */
const acknowledgedOf = ({ uplink, outbox, waiting }: Device): number =>
  uplink.custody === 'broker' ? uplink.acknowledged : outbox.slots.reduce((sum, { last }) => sum + last, 0) - waiting;

const countsOf = ({ received, again, declared }: Arrivals): Pick<Arrivals, 'received' | 'again' | 'declared'> => ({
  received,
  again,
  declared,
});

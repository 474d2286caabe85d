/**
 * One device of the fleet: the real outbox in a folder of its own, the real uplink, and a producer at a steady rate.
 *
 *   produce -> outbox -> uplink -> [gate] -> broker
 */
import type { RecordableHistogram } from 'node:perf_hooks';
import { type Clock, systemClock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import type { Event } from '#agent/domain/event.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';
import { trustedKeys } from '#agent/trust/keys.ts';
import { Uplink, type UplinkStatus } from '#agent/uplink/uplink.ts';
import { uplinkSchema } from '#config/schema.ts';
import { Gate } from './gate.ts';

/** The same for all. */
export interface FleetUplink {
  readonly root: string;
  /** Public keys: custody `consumer`. */
  readonly consumers: readonly string[];
  readonly username?: string;
  readonly password?: string;
  /** PEM file. */
  readonly ca?: string;
}

export interface DeviceOptions {
  readonly id: string;
  readonly folder: string;
  readonly brokerUrl: string;
  /** Its line can be cut. */
  readonly hasGate: boolean;
  readonly storeBytes: number;
  /** Keys of the uplink's configuration beside the address. */
  readonly uplink: FleetUplink;
  /** Microseconds of each append. */
  readonly appendUs: RecordableHistogram;
}

/** At most so many in one append, when the disk was slower than the rate. */
const mostAtOnce = 64;

export class Device implements AsyncDisposable {
  readonly id: string;
  readonly outbox: Outbox;
  readonly gate: Gate | undefined;
  readonly #uplink: Uplink;
  readonly #appendUs: RecordableHistogram;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  appended = 0;
  refused = 0;
  refusal: string | undefined;

  private constructor({ id, uplink, brokerUrl, appendUs }: DeviceOptions, outbox: Outbox, gate: Gate | undefined) {
    this.id = id;
    this.outbox = outbox;
    this.gate = gate;
    this.#appendUs = appendUs;
    const { consumers } = uplink;
    this.#uplink = new Uplink({
      outbox,
      config: uplinkSchema.parse({ ...uplink, url: gate?.url ?? brokerUrl }),
      device: id,
      verify: consumers.length > 0 ? trustedKeys(consumers) : undefined,
      health: new Health(systemClock),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    this.#running = this.#uplink.run(this.#ending.signal);
  }

  static async open(options: DeviceOptions): Promise<Device> {
    const gate = options.hasGate ? await Gate.open(options.brokerUrl) : undefined;
    try {
      const outbox = await openOutbox({
        path: options.folder,
        device: options.id,
        maxSizeBytes: options.storeBytes,
        clock: systemClock,
        log: silentLog,
      });
      return new Device(options, outbox, gate);
    } catch (thrown) {
      await gate?.[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get uplink(): UplinkStatus {
    return this.#uplink.status;
  }

  get isOnline(): boolean {
    return this.uplink.connected && this.uplink.alarmConnected;
  }

  get waiting(): number {
    return this.outbox.slots.reduce((sum, { depth }) => sum + depth, 0);
  }

  /** Until aborted, evenly spaced from a moment of its own on. @param rate events a second */
  async produce(rate: number, signal: AbortSignal, clock: Clock = systemClock): Promise<void> {
    const spacingMs = 1_000 / rate;
    let [dueMonoMs, made] = [clock.monoMs() + systemRandom() * spacingMs, 0];
    while (!signal.aborted) {
      const lateMs = clock.monoMs() - dueMonoMs;
      if (lateMs < 0) {
        await clock.sleep(-lateMs, signal).catch(() => undefined);
        continue;
      }
      const count = Math.min(mostAtOnce, Math.floor(lateMs / spacingMs) + 1);
      await this.#append(Array.from({ length: count }, (_none, index) => simulated(made + index, clock)));
      made += count;
      dueMonoMs += count * spacingMs;
    }
  }

  async #append(events: readonly Event[]): Promise<void> {
    const before = systemClock.monoMs();
    try {
      await this.outbox.append(events);
      this.#appendUs.record(Math.max(1, Math.round((systemClock.monoMs() - before) * 1_000)));
      this.appended += events.length;
    } catch (thrown) {
      this.refused += events.length;
      this.refusal = toOutpostError(thrown).code;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.outbox[Symbol.asyncDispose]();
    await this.gate?.[Symbol.asyncDispose]();
  }
}

/** About 1 KiB as it is sent. Of fifty events one is an alarm, ten are telemetry. */
const simulated = (n: number, clock: Clock): Event => ({
  kind: 'camera',
  phase: 'start',
  lane: n % 50 === 0 ? 'alarm' : n % 5 === 1 ? 'telemetry' : 'event',
  subject: 'camera/simulated',
  wallMs: clock.wallMs(),
  monoMs: clock.monoMs(),
  data: { incident: `i-${n}`, condition: 'black', durationMs: n, detail: 'x'.repeat(620) },
});

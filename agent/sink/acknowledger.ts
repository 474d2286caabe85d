/**
 * Tells devices how far they are committed: what the database says now, signed, retained on `down/ack`.
 *
 *   committed round --> devices to tell --> marks of all their lanes --> one message a device
 *
 * Told is what a fresh look into the database gives: many sinks work on the same lanes, and each tells the whole truth.
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import { type Ack, encodeAck, type LaneAck } from '#agent/domain/ack.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Sign } from '#agent/domain/signature.ts';
import { downTopic } from '#agent/domain/topics.ts';
import type { LaneMark, SinkDatabase } from './database.ts';
import { publishOrCut } from './owed.ts';
import type { SinkStatus } from './status.ts';

export interface AcknowledgerOptions {
  readonly database: SinkDatabase;
  readonly root: string;
  readonly sign: Sign;
  readonly status: SinkStatus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Devices of one look into the database. */
const devicesAtOnce = 256;
const largestWindow = 64;
/** Between two looks: what is committed meanwhile is told together, which under load spares most of the signing. */
const restMs = 50;
const backoffMs = { minMs: 50, maxMs: 10_000 };

export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  readonly #devices = new Set<string>();
  readonly #backoff: Backoff;
  #line: MqttLine | undefined;
  #wake: (() => void) | undefined;
  #refused = false;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(backoffMs, options.random);
  }

  tell(devices: Iterable<string>): void {
    for (const device of devices) this.#devices.add(device);
    this.#wake?.();
  }

  /** @param line absent while there is none: devices are remembered */
  use(line: MqttLine | undefined): void {
    this.#line = line;
    this.#wake?.();
  }

  /** Until aborted; what is to be told then is left to `flush`. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (!this.#line || this.#devices.size === 0) {
        await this.#something(signal);
        continue;
      }
      const isTold = await this.#round(this.#line);
      if (isTold) this.#backoff.reset();
      const waitMs = isTold ? restMs : this.#backoff.nextMs();
      if (!isTold || this.#devices.size < devicesAtOnce) {
        await this.#options.clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  /** Tells what is left, once. */
  async flush(): Promise<void> {
    while (this.#line && this.#devices.size > 0) if (!(await this.#round(this.#line))) return;
  }

  /** @returns false when some were not told: they stay */
  async #round(line: MqttLine): Promise<boolean> {
    const devices = [...this.#devices].slice(0, devicesAtOnce);
    for (const device of devices) this.#devices.delete(device);
    try {
      const marks = Map.groupBy(await this.#options.database.marksOf(devices), ({ device }) => device);
      const left = [...marks];
      const window = Math.min(largestWindow, line.receiveMaximum);
      const one = async (): Promise<void> => {
        for (let next = left.pop(); next; next = left.pop()) await this.#publish(line, next[0], next[1]);
      };
      await Promise.all(Array.from({ length: Math.min(window, left.length) }, one));
      return true;
    } catch (thrown) {
      for (const device of devices) this.#devices.add(device);
      const error = toOutpostError(thrown);
      if (error.code !== 'broker-closed')
        this.#options.log.warn('Devices could not be told; they are later.', { error });
      return false;
    }
  }

  async #publish(line: MqttLine, device: string, marks: readonly LaneMark[]): Promise<void> {
    const { root, sign, status, log } = this.#options;
    const payload = encodeAck(ackOf(device, marks), sign);
    const how = { retain: true, contentType: 'application/json' };
    const code = await publishOrCut(line, downTopic(root, device, 'ack'), payload, how, this.#options);
    if (code < 128) {
      status.acknowledged();
      this.#refused = false;
    } else if (!this.#refused) {
      this.#refused = true;
      log.error('The broker refuses acknowledgements: devices keep what is committed.', { device, reason: code });
    }
  }

  async #something(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const wake = this.#wake;
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted || (this.#line && this.#devices.size > 0)) wake();
    });
  }
}

function ackOf(device: string, marks: readonly LaneMark[]): Ack {
  const epochs = new Map<string, Map<Lane, LaneAck>>();
  for (const { epoch, lane, mark } of marks) {
    if (mark.upto === 0) continue;
    const lanes = epochs.get(epoch) ?? new Map<Lane, LaneAck>();
    epochs.set(epoch, lanes.set(lane, { upto: mark.upto, missing: mark.missing }));
  }
  return { device, epochs };
}

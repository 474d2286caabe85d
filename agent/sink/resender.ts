/**
 * Sends a device that is back what it may have missed: its newest `down/desired`, and commands without an answer.
 *
 *   up/state: online --committed--> look: is something due? --claimed in the database--> published, as it came
 *
 * A claim is a row's own: of many sinks one sends, not before the last time is long enough ago, so many times for each
 * return of the device. What is published comes back by our own subscription, is known, and changes nothing.
 */
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine } from '#agent/core/mqtt.ts';
import { downTopic } from '#agent/domain/topics.ts';
import type { ResendLimits, SinkDatabase } from './database.ts';
import { publishOrCut } from './owed.ts';
import type { SinkStatus } from './status.ts';

export interface ResenderOptions {
  readonly database: SinkDatabase;
  readonly root: string;
  /** Subscribes to what is to be remembered. @throws OutpostError `broker-subscription` */
  readonly listen: (line: MqttLine) => Promise<void>;
  readonly limits?: ResendLimits;
  readonly status: SinkStatus;
  readonly clock: Clock;
  readonly log: Log;
}

const defaultLimits: ResendLimits = { graceMs: 10_000, leastMs: 15_000, times: 8 };
/** Devices of one look into the database. */
const devicesAtOnce = 256;
/** Between two tries, of a refused subscription or of a database that is away. */
const restMs = 30_000;

export class Resender {
  readonly #options: ResenderOptions;
  readonly #devices = new Set<string>();
  #line: MqttLine | undefined;
  #listening: MqttLine | undefined;
  #wake = new AbortController();

  constructor(options: ResenderOptions) {
    this.#options = options;
  }

  /** These devices say that they are here. */
  look(devices: Iterable<string>): void {
    for (const device of devices) this.#devices.add(device);
    if (this.#devices.size > 0) this.#wake.abort();
  }

  /** @param line absent while there is none: devices are remembered */
  use(line: MqttLine | undefined): void {
    this.#line = line;
    this.#wake.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const line = this.#line;
      if (line && this.#listening !== line) await this.#listen(line);
      if (line && this.#devices.size > 0 && (await this.#round(line))) continue;
      await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined);
    }
  }

  /** Events go on without it. */
  async #listen(line: MqttLine): Promise<void> {
    const { listen, log } = this.#options;
    try {
      await listen(line);
      this.#listening = line;
    } catch (thrown) {
      const error = toOutpostError(thrown);
      if (error.code === 'broker-closed') return;
      log.warn('What goes down to devices is not heard, and not sent again; the subscription is tried again.', {
        error,
      });
    }
  }

  /** @returns false when it is to be tried later */
  async #round(line: MqttLine): Promise<boolean> {
    const { database, root, limits = defaultLimits, status, log } = this.#options;
    const devices = [...this.#devices].slice(0, devicesAtOnce);
    for (const device of devices) this.#devices.delete(device);
    try {
      for (const { device, name, message } of await database.claimResends(devices, limits)) {
        const how = { retain: name === 'desired', contentType: 'application/jose+json' };
        const code = await publishOrCut(line, downTopic(root, device, name), message, how, this.#options);
        if (code < 128) status.resent();
        else log.warn('The broker refuses what is to be sent again.', { device, name, reason: code });
      }
      return true;
    } catch (thrown) {
      for (const device of devices) this.#devices.add(device);
      const error = toOutpostError(thrown);
      if (error.code !== 'broker-closed') log.warn('Nothing could be sent again; it is tried later.', { error });
      return false;
    }
  }
}

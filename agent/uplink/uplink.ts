/**
 * Drains the outbox to the broker: by lane and priority, in order, removed when acknowledged.
 *
 *   outbox --peek--> batch --publish, QoS 1--> PUBACK --> ack (removed)
 *   lane alarm: a connection of its own, one event a publish, at once
 *
 * MQTT 5 first, 3.1.1 when the broker refuses it. Full-jitter backoff, for ever.
 */
import { readFile } from 'node:fs/promises';
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, messageOf, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { connectMqtt, type MqttConnection, type MqttProtocol } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import { version } from '#agent/core/version.ts';
import { contentTypes } from '#agent/domain/cloudevent.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { upTopic } from '#agent/domain/topics.ts';
import type { UplinkConfig } from '#config/schema.ts';

interface Position {
  readonly epoch: string;
  readonly seq: number;
}
interface Batch {
  readonly lane: Lane;
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}
export interface UplinkOutbox {
  readonly epoch: string;
  readonly boot: number;
  readonly state: Readonly<
    Record<Lane, { readonly depth: number; readonly firstSeq: number; readonly lastSeq: number }>
  >;
  peek(
    lane: Lane,
    after: Position | undefined,
    limits: { readonly maxEvents: number; readonly maxBytes: number },
  ): Promise<Batch | undefined>;
  ack(lane: Lane, upto: Position): Promise<void>;
  onAppend(listener: () => void): () => void;
}

export interface UplinkOptions {
  readonly outbox: UplinkOutbox;
  readonly config: UplinkConfig;
  readonly device: string;
  readonly health: Health;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface UplinkStatus {
  readonly connected: boolean;
  readonly protocol: MqttProtocol | undefined;
  readonly custody: 'broker';
  readonly published: number;
  readonly acknowledged: number;
  readonly undelivered: number;
  readonly lastError: { readonly code: string; readonly message: string; readonly hint: string } | undefined;
}

const limits = { maxEvents: 64, maxBytes: 64 * 1024 } as const;
const single = { maxEvents: 1, maxBytes: 64 * 1024 } as const;
/** Batches in flight; few, so that an alarm on the other connection finds a quiet line. */
const window = 4;
/** How late a batch may be, so that it is worth sending. */
const gatherMs = 200;
const connectLimitMs = 10_000;
const undeliveredPauseMs = 5_000;
const ordinary = lanes.filter((lane) => lane !== 'alarm');

export class Uplink {
  readonly #options: UplinkOptions;
  #protocol: MqttProtocol | undefined;
  #connected = false;
  #published = 0;
  #acknowledged = 0;
  #undelivered = 0;
  #lastError: OutpostError | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  get status(): UplinkStatus {
    const error = this.#lastError;
    return {
      connected: this.#connected,
      protocol: this.#protocol,
      custody: 'broker',
      published: this.#published,
      acknowledged: this.#acknowledged,
      undelivered: this.#undelivered,
      lastError: error && { code: error.code, message: error.message, hint: error.hint },
    };
  }

  /** A service: returns when aborted. Without a broker it rests, and events stay on the device. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#options.config.url === undefined) {
      await this.#until(signal);
      return;
    }
    await Promise.all([this.#keepConnected('main', signal), this.#keepConnected('alarm', signal)]);
  }

  async #keepConnected(which: 'main' | 'alarm', signal: AbortSignal): Promise<void> {
    const { clock, random, log, health } = this.#options;
    const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, random);
    while (!signal.aborted) {
      try {
        await using connection = await this.#connect(which, signal);
        backoff.reset();
        if (which === 'main') this.#opened(connection);
        await this.#serve(which, connection, signal);
        if (which === 'main') await this.#presence(connection, false);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toOutpostError(thrown);
        const waitMs = Math.round(backoff.nextMs());
        if (which === 'main') {
          this.#connected = false;
          this.#lastError = error;
          health.set('uplink-down', 'agent', `${error.message} ${error.hint}`);
        }
        log.warn('The line to the broker is down and is tried again.', { connection: which, error, waitMs });
        await clock.sleep(waitMs, signal).catch(() => undefined);
      } finally {
        if (which === 'main') this.#connected = false;
      }
    }
  }

  #opened(connection: MqttConnection): void {
    const { health, log } = this.#options;
    this.#connected = true;
    this.#lastError = undefined;
    health.clear('uplink-down', 'agent');
    log.info('The line to the broker is up.', { protocol: connection.protocol });
  }

  async #connect(which: 'main' | 'alarm', signal: AbortSignal): Promise<MqttConnection> {
    const wanted = this.#options.config.protocol;
    const order: readonly MqttProtocol[] =
      wanted === 'auto' ? (this.#protocol ? [this.#protocol] : ['5', '3.1.1']) : [wanted];
    let refusal: unknown;
    for (const protocol of order) {
      signal.throwIfAborted();
      try {
        const connection = await this.#connectAs(which, protocol);
        this.#protocol = protocol;
        return connection;
      } catch (thrown) {
        // The first refusal says more than that of the fallback, unless it was about the version alone.
        refusal = refusal === undefined || (refusal as OutpostError).code === 'broker-protocol' ? thrown : refusal;
        if (!['broker-protocol', 'broker-closed', 'broker-refused'].includes((thrown as OutpostError).code))
          throw thrown;
      }
    }
    this.#protocol = undefined;
    throw refusal;
  }

  async #connectAs(which: 'main' | 'alarm', protocol: MqttProtocol): Promise<MqttConnection> {
    const { config, device } = this.#options;
    const { url, username, password, keepalive, root } = config;
    const tls = await this.#tls();
    return await connectMqtt({
      url: url as string,
      clientId: which === 'main' ? device : `${device}-alarm`,
      protocol,
      keepaliveMs: keepalive,
      connectLimitMs,
      username,
      password,
      ...(tls ? { tls } : {}),
      ...(which === 'main' ? { will: { topic: upTopic(root, device, 'state'), payload: this.#state(false) } } : {}),
    });
  }

  async #tls(): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer } | undefined> {
    const { ca, certificate, key } = this.#options.config;
    const read = async (path: string): Promise<Buffer> =>
      await readFile(path).catch((cause: unknown) => {
        throw new OutpostError('uplink-file', `${path} cannot be read: ${messageOf(cause)}`, { cause });
      });
    return {
      ...(ca === undefined ? {} : { ca: await read(ca) }),
      ...(certificate === undefined ? {} : { cert: await read(certificate) }),
      ...(key === undefined ? {} : { key: await read(key) }),
    };
  }

  /** Until the signal or the end of the connection. */
  async #serve(which: 'main' | 'alarm', connection: MqttConnection, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    const ended = connection.closed.then((error) => {
      over.abort();
      return error;
    });
    const { health } = this.#options;
    if (which === 'main') await this.#presence(connection, true);
    const stopTelling =
      which === 'main'
        ? health.onChange(() => void this.#presence(connection, true).catch(() => undefined))
        : undefined;
    try {
      await this.#drain(connection, which === 'main' ? ordinary : ['alarm'], which === 'main' ? limits : single, stop);
    } finally {
      stopTelling?.();
    }
    if (!signal.aborted) throw await ended;
  }

  /** Publishes what waits, lane by lane, then waits for more. In order within a lane: a window of batches, acknowledged in turn. */
  async #drain(
    connection: MqttConnection,
    served: readonly Lane[],
    batchLimits: typeof limits | typeof single,
    signal: AbortSignal,
  ): Promise<void> {
    const { outbox, clock } = this.#options;
    const after = new Map<Lane, Position>();
    let wake: (() => void) | undefined;
    let isWoken = false;
    const stopListening = outbox.onAppend(() => {
      isWoken = true;
      wake?.();
    });
    try {
      while (!signal.aborted) {
        isWoken = false;
        const sent = await this.#drainOnce(connection, served, batchLimits, after, signal);
        if (sent === 'undelivered') await clock.sleep(undeliveredPauseMs, signal).catch(() => undefined);
        if (sent !== 'nothing') continue;
        if (!isWoken) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            signal.addEventListener('abort', () => resolve(), { once: true });
          });
          wake = undefined;
        }
        if (served.length > 1 && !signal.aborted) await clock.sleep(gatherMs, signal).catch(() => undefined);
      }
    } finally {
      stopListening();
    }
  }

  async #drainOnce(
    connection: MqttConnection,
    served: readonly Lane[],
    batchLimits: typeof limits | typeof single,
    after: Map<Lane, Position>,
    signal: AbortSignal,
  ): Promise<'sent' | 'nothing' | 'undelivered'> {
    const { outbox, config, device } = this.#options;
    for (const lane of served) {
      const batches: Batch[] = [];
      while (batches.length < Math.min(window, connection.receiveMaximum)) {
        const batch = await outbox.peek(lane, after.get(lane), batchLimits);
        if (!batch) break;
        batches.push(batch);
        after.set(lane, { epoch: batch.epoch, seq: batch.last });
      }
      if (batches.length === 0 || signal.aborted) continue;
      const reasons = await Promise.all(
        batches.map(async ({ bytes, count }) => {
          this.#published += count;
          return await connection.publish({
            topic: upTopic(config.root, device, lane),
            payload: bytes,
            contentType: count === 1 ? contentTypes.one : contentTypes.batch,
          });
        }),
      );
      const failed = reasons.findIndex((reason) => reason !== 0);
      const done = batches.slice(0, failed < 0 ? batches.length : failed);
      const last = done.at(-1);
      if (last) await outbox.ack(lane, { epoch: last.epoch, seq: last.last });
      this.#acknowledged += done.reduce((sum, { count }) => sum + count, 0);
      if (failed < 0) return 'sent';
      // Nobody subscribes, or the broker refuses it: it stays, and is sent again from there.
      after.delete(lane);
      this.#undelivered += (batches[failed] as Batch).count;
      return 'undelivered';
    }
    return 'nothing';
  }

  async #presence(connection: MqttConnection, online: boolean): Promise<void> {
    const { config, device } = this.#options;
    await connection.publish({
      topic: upTopic(config.root, device, 'state'),
      payload: Buffer.from(this.#state(online)),
      retain: true,
    });
  }

  #state(online: boolean): string {
    const { outbox, device, health } = this.#options;
    const kept = Object.fromEntries(
      lanes.map((lane) => [
        lane,
        { first: String(outbox.state[lane].firstSeq), last: String(outbox.state[lane].lastSeq) },
      ]),
    );
    return JSON.stringify({
      online,
      device,
      version,
      epoch: outbox.epoch,
      boot: String(outbox.boot),
      protocol: this.#protocol,
      custody: 'broker',
      health: {
        worst: health.worst(),
        conditions: health.entries().map(({ code, subject, severity }) => ({ code, subject, severity })),
      },
      lanes: { [outbox.epoch]: kept },
    });
  }

  async #until(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
}

/**
 * The service between the outbox and the broker: two lines, each kept up for ever on its own.
 *
 *   outbox =lane alarm=========> line `{device}-alarm`   one event a publish, at once
 *          =all other lanes====> line `{device}`         batches, presence, the will
 */
import { untilAborted } from '#agent/core/abort.ts';
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { type MqttLine, type MqttMessage, type MqttVersion, noSubscriber } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import { redactUrl } from '#agent/core/redact-url.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import type { Verify } from '#agent/domain/signature.ts';
import { clientId, downTopic, upTopic } from '#agent/domain/topics.ts';
import type { UplinkConfig } from '#config/schema.ts';
import { watchCertificate } from './certificate-watch.ts';
import { Connector } from './connect.ts';
import { type AcksStatus, ConsumerCustody } from './consumer-custody.ts';
import type { Custody } from './lane-drain.ts';
import { type LineReport, type LineRole, serveLine } from './line.ts';
import type { LineRate } from './line-rate.ts';
import { presence } from './presence.ts';
import { SameId } from './same-id.ts';
import type { Position, UplinkSource } from './source.ts';
import { Suspects } from './suspects.ts';

export interface UplinkOptions {
  readonly outbox: UplinkSource;
  readonly config: UplinkConfig;
  readonly device: string;
  /** Believes the consumers: custody `consumer`. Absent: custody `broker`. */
  readonly verify?: Verify | undefined;
  readonly health: Health;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface UplinkStatus {
  /** The main line is up. */
  readonly connected: boolean;
  /** The line of lane `alarm` is up. */
  readonly alarmConnected: boolean;
  readonly protocol: MqttVersion | undefined;
  /** Lines that were had so far, both roles together. */
  readonly connections: number;
  /** Without credentials; undefined: none is configured, and events stay on the device. */
  readonly broker: string | undefined;
  readonly custody: Custody;
  /** What the consumer says; undefined with custody `broker`. */
  readonly acks: AcksStatus | undefined;
  /** Events handed to the broker, those sent again included. */
  readonly published: number;
  readonly acknowledged: number;
  /** Events that the broker did not take, or had nobody to give to. */
  readonly refused: number;
  /** Events given up, since the broker takes others and never them. */
  readonly poison: number;
  /** Bytes a second that the main line was measured to carry, and bytes in flight on it. */
  readonly rate: { readonly bytesPerSecond: number | undefined; readonly inFlightBytes: number } | undefined;
  readonly lastError:
    | { readonly code: string; readonly message: string; readonly hint: string; readonly at: string }
    | undefined;
}

const roles: readonly LineRole[] = ['main', 'alarm'];
/** A line that lasted so long has no rival. */
const unrivalledMs = 300_000;

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #connector = new Connector();
  readonly #suspects = new Suspects();
  readonly #sameId = new SameId();
  readonly #consumer: ConsumerCustody | undefined;
  readonly #up: Record<LineRole, boolean> = { main: false, alarm: false };
  #renew = new AbortController();
  #protocol: MqttVersion | undefined;
  #rate: LineRate | undefined;
  #connections = 0;
  #published = 0;
  #acknowledged = 0;
  #refused = 0;
  #poison = 0;
  #lastError: UplinkStatus['lastError'];

  constructor(options: UplinkOptions) {
    const { outbox: source, device, verify, health, clock, log } = options;
    this.#options = options;
    this.#consumer = verify && new ConsumerCustody({ source, device, verify, health, clock, log });
  }

  get custody(): Custody {
    return this.#consumer ? 'consumer' : 'broker';
  }

  get status(): UplinkStatus {
    const { url } = this.#options.config;
    return {
      connected: this.#up.main,
      alarmConnected: this.#up.alarm,
      protocol: this.#protocol,
      connections: this.#connections,
      broker: url === undefined ? undefined : redactUrl(url),
      custody: this.custody,
      acks: this.#consumer?.status,
      published: this.#published,
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      poison: this.#poison,
      rate: this.#rate && { bytesPerSecond: this.#rate.bytesPerSecond, inFlightBytes: this.#rate.inFlightBytes },
      lastError: this.#lastError,
    };
  }

  /** A service: returns when aborted, after it has said goodbye. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, outbox, health, clock, log } = this.#options;
    const { url } = config;
    if (url === undefined) {
      await untilAborted(signal);
      return;
    }
    const renew = (): void => {
      this.#renew.abort();
      this.#renew = new AbortController();
    };
    // lines that take the place of these read from the first that waits
    const endTakenOver = outbox.onTakenOver(renew);
    const watching = watchCertificate({ config, health, clock, log, exchanged: renew }, signal);
    await Promise.all([watching, ...roles.map(async (role) => await this.#keepUp(role, url, signal))]);
    endTakenOver();
    await this.#consumer?.settled();
  }

  async #keepUp(role: LineRole, url: string, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, random);
    const lineLog = log.with({ line: role, broker: redactUrl(url) });
    while (!signal.aborted) {
      const renew = this.#renew.signal;
      try {
        await this.#once(role, url, lineLog, () => backoff.reset(), signal, renew);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toOutpostError(thrown);
        // The first wait is one second for all: a little more of chance, so that a fleet does not come back at once.
        const waitMs = Math.min(60_000, Math.round(backoff.nextMs() + random() * 1_000));
        this.#failed(role, error);
        lineLog.warn('No line to the broker; it is tried again.', { error, waitMs });
        // another certificate is worth a try at once
        await clock.sleep(waitMs, AbortSignal.any([signal, renew])).catch(() => undefined);
      }
    }
  }

  async #once(
    role: LineRole,
    url: string,
    log: Log,
    onStable: () => void,
    signal: AbortSignal,
    renew: AbortSignal,
  ): Promise<void> {
    const { config, device, clock } = this.#options;
    const isMain = role === 'main';
    const state = upTopic(config.root, device, 'state');
    const line = await this.#connector.connect(
      {
        config,
        url,
        clientId: clientId(device, role),
        clock,
        ...(isMain ? { will: (version) => ({ topic: state, payload: this.#say(false, version) }) } : {}),
        ...(isMain && this.#consumer ? { receive: (message) => this.#receive(message) } : {}),
      },
      signal,
    );
    this.#protocol = line.version;
    this.#connections += 1;
    log.info('Connected to the broker.', { protocol: line.version });
    const connectedMonoMs = clock.monoMs();
    try {
      await this.#serve(role, line, this.#report(role, connectedMonoMs, onStable), log, signal, renew);
    } catch (thrown) {
      const rival = this.#up[role] ? this.#sameId.ended(toOutpostError(thrown), clock.monoMs()) : undefined;
      if (rival !== undefined) this.#options.health.set('device-twice', 'agent', rival);
      throw thrown;
    } finally {
      this.#up[role] = false;
    }
  }

  async #serve(
    role: LineRole,
    line: MqttLine,
    report: LineReport,
    log: Log,
    signal: AbortSignal,
    renew: AbortSignal,
  ): Promise<void> {
    const { config, device, outbox, health, clock, random } = this.#options;
    const isMain = role === 'main';
    const say = (online: boolean): string => this.#say(online, line.version);
    await serveLine(
      {
        line,
        lanes: lanes.filter((lane) => (lane === 'alarm') !== isMain),
        source: outbox,
        topicOf: (lane) => upTopic(config.root, device, lane),
        presence: isMain ? { topic: upTopic(config.root, device, 'state'), say } : undefined,
        subscriptions: isMain && this.#consumer ? [downTopic(config.root, device, 'ack')] : [],
        consumer: this.#consumer,
        suspects: this.#suspects,
        health,
        keepaliveMs: config.keepalive,
        report,
        clock,
        random,
        log,
      },
      signal,
      renew,
    );
  }

  #say(online: boolean, version: MqttVersion): string {
    const { outbox, device, health, clock } = this.#options;
    const { custody } = this;
    return presence({ source: outbox, device, health, clock, custody, lastError: this.#lastError }, online, version);
  }

  #receive(message: MqttMessage): undefined {
    const { root } = this.#options.config;
    if (message.topic === downTopic(root, this.#options.device, 'ack')) this.#consumer?.receive(message.payload);
    // It is retained, and each says all: nothing is lost when it is acknowledged before it has had its effect.
    message.acknowledge();
  }

  #report(role: LineRole, connectedMonoMs: number, onStable: () => void): LineReport {
    return {
      sent: (batch) => {
        this.#published += batch.count;
        this.#consumer?.sent(batch);
      },
      acknowledged: (lane, events) => this.#delivered(lane, events),
      refused: (lane, events, code) => this.#undelivered(lane, events, code),
      poison: (lane, at) => this.#gaveUp(lane, at),
      proved: () => this.#proved(role, connectedMonoMs),
      stable: onStable,
      rate: (rate) => (this.#rate = rate),
    };
  }

  #proved(role: LineRole, connectedMonoMs: number): void {
    const { health, clock } = this.#options;
    this.#up[role] = true;
    health.clear('uplink-down', role === 'main' ? 'agent' : 'lane/alarm');
    if (clock.monoMs() - connectedMonoMs > unrivalledMs) health.clear('device-twice', 'agent');
  }

  #failed(role: LineRole, error: OutpostError): void {
    const { code, message, hint } = error;
    this.#lastError = { code, message, hint, at: new Date(this.#options.clock.wallMs()).toISOString() };
    this.#options.health.set('uplink-down', role === 'main' ? 'agent' : 'lane/alarm', `${message} [${code}] ${hint}`);
  }

  #delivered(lane: Lane, events: number): void {
    this.#acknowledged += events;
    this.#options.health.clear('uplink-undelivered', `lane/${lane}`);
  }

  #undelivered(lane: Lane, events: number, reason: number): void {
    this.#refused += events;
    const error = new OutpostError(reason === noSubscriber ? 'broker-no-subscriber' : 'broker-refuses-events');
    const { code, message, hint } = error;
    this.#lastError = { code, message, hint, at: new Date(this.#options.clock.wallMs()).toISOString() };
    this.#options.health.set('uplink-undelivered', `lane/${lane}`, `${message} [${code}, MQTT ${reason}] ${hint}`);
  }

  #gaveUp(lane: Lane, { epoch, seq }: Position): void {
    this.#poison += 1;
    this.#options.log.error('An event was given up: the broker takes others, and never this one.', {
      lane,
      epoch,
      seq,
    });
    this.#options.health.set('uplink-poison', `lane/${lane}`, `The last one: ${seq} of epoch ${epoch}.`);
  }
}

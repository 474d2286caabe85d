/**
 * The service between the outbox and the broker: two lines, each kept up for ever on its own.
 *
 *   outbox =lane alarm=========> line `{device}-alarm`   one event a publish, at once
 *          =all other lanes====> line `{device}`         batches, presence, the will
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { type MqttVersion, noSubscriber } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import { redactUrl } from '#agent/core/redact-url.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { clientId, upTopic } from '#agent/domain/topics.ts';
import type { UplinkConfig } from '#config/schema.ts';
import { Connector } from './connect.ts';
import { type LineRole, serveLine } from './line.ts';
import { custody, presence } from './presence.ts';
import type { Source } from './source.ts';

export interface UplinkOptions {
  readonly outbox: Source;
  readonly config: UplinkConfig;
  readonly device: string;
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
  /** Without credentials; undefined: none is configured, and events stay on the device. */
  readonly broker: string | undefined;
  readonly custody: typeof custody;
  /** Events handed to the broker, those sent again included. */
  readonly published: number;
  readonly acknowledged: number;
  /** Events that the broker did not take, or had nobody to give to. */
  readonly refused: number;
  readonly lastError:
    | { readonly code: string; readonly message: string; readonly hint: string; readonly at: string }
    | undefined;
}

const roles: readonly LineRole[] = ['main', 'alarm'];

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #connector = new Connector();
  readonly #up: Record<LineRole, boolean> = { main: false, alarm: false };
  #protocol: MqttVersion | undefined;
  #published = 0;
  #acknowledged = 0;
  #refused = 0;
  #lastError: UplinkStatus['lastError'];

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  get status(): UplinkStatus {
    const { url } = this.#options.config;
    return {
      connected: this.#up.main,
      alarmConnected: this.#up.alarm,
      protocol: this.#protocol,
      broker: url === undefined ? undefined : redactUrl(url),
      custody,
      published: this.#published,
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      lastError: this.#lastError,
    };
  }

  /** A service: returns when aborted, after it has said goodbye. */
  async run(signal: AbortSignal): Promise<void> {
    const { url } = this.#options.config;
    if (url === undefined) await untilAborted(signal);
    else await Promise.all(roles.map(async (role) => await this.#keepUp(role, url, signal)));
  }

  async #keepUp(role: LineRole, url: string, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, random);
    const lineLog = log.with({ line: role, broker: redactUrl(url) });
    while (!signal.aborted) {
      try {
        await this.#once(role, url, lineLog, () => backoff.reset(), signal);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toOutpostError(thrown);
        // The first wait is one second for all: a little more of chance, so that a fleet does not come back at once.
        const waitMs = Math.min(60_000, Math.round(backoff.nextMs() + random() * 1_000));
        this.#failed(role, error);
        lineLog.warn('No line to the broker; it is tried again.', { error, waitMs });
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  async #once(role: LineRole, url: string, log: Log, onStable: () => void, signal: AbortSignal): Promise<void> {
    const { config, device, outbox, health, clock, random } = this.#options;
    const state = upTopic(config.root, device, 'state');
    const say = (online: boolean, version: MqttVersion): string =>
      presence({ source: outbox, device, health, clock }, online, version);
    const line = await this.#connector.connect(
      {
        config,
        url,
        clientId: clientId(device, role),
        clock,
        ...(role === 'main' ? { will: (version) => ({ topic: state, payload: say(false, version) }) } : {}),
      },
      signal,
    );
    this.#protocol = line.version;
    log.info('Connected to the broker.', { protocol: line.version });
    try {
      await serveLine(
        {
          line,
          lanes: lanes.filter((lane) => (lane === 'alarm') === (role === 'alarm')),
          source: outbox,
          topicOf: (lane) => upTopic(config.root, device, lane),
          presence: role === 'main' ? { topic: state, say: (online) => say(online, line.version) } : undefined,
          health,
          keepaliveMs: config.keepalive,
          report: {
            sent: (events) => (this.#published += events),
            acknowledged: (lane, events) => this.#delivered(lane, events),
            refused: (lane, events, code) => this.#undelivered(lane, events, code),
            proved: () => this.#proved(role),
            stable: onStable,
          },
          clock,
          random,
          log,
        },
        signal,
      );
    } finally {
      this.#up[role] = false;
    }
  }

  #proved(role: LineRole): void {
    this.#up[role] = true;
    this.#options.health.clear('uplink-down', role === 'main' ? 'agent' : 'lane/alarm');
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
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

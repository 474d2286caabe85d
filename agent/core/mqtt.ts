/**
 * The door to MQTT: one connection, from CONNECT to its end. Whoever holds it decides when there is another.
 *
 *   connectMqtt -> publish(topic, bytes) -> reason code of the PUBACK
 *               -> subscribe(filters); messages go to `receive`, whose PUBACK is sent when it is asked for
 *               -> closed: why it ended
 *
 * mqtt.js alone reconnects, sends its memory again, and takes PUBACK 16 for success: none of that is used here.
 */
import type { IClientOptions, MqttClient } from 'mqtt';
import type { Clock } from './clock.ts';
import { messageOf, OutpostError } from './errors.ts';
import { closeError, connectError } from './mqtt-errors.ts';

export type MqttVersion = '5' | '3.1.1';

export interface MqttOptions {
  /** mqtt, mqtts, ws or wss. */
  readonly url: string;
  readonly clientId: string;
  readonly version: MqttVersion;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM. */
  readonly ca?: Buffer | undefined;
  readonly certificate?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  readonly keepaliveMs: number;
  readonly connectTimeoutMs: number;
  /** Published by the broker, retained, when the line is cut. */
  readonly will?: { readonly topic: string; readonly payload: string } | undefined;
  /** The broker keeps subscriptions and what was not acknowledged for so long after the end; absent: nothing. */
  readonly sessionSeconds?: number | undefined;
  /** How many messages the broker may send before the first is acknowledged; MQTT 5 alone. */
  readonly receiveMaximum?: number | undefined;
  /** Largest packet that the broker may send, in bytes; MQTT 5 alone. */
  readonly largestPacketBytes?: number | undefined;
  /**
   * Every message, in order, from the first on: a kept session sends before anybody can subscribe. While the promise
   * is pending nothing more is read from the socket, not even the answers to our own publishes.
   */
  readonly receive?: ((message: MqttMessage) => Promise<void> | undefined) | undefined;
  readonly clock: Clock;
}

export interface MqttMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly retained: boolean;
  /** Sent before, perhaps to another connection of this session. */
  readonly again: boolean;
  /** Sends the PUBACK; nothing once the connection has ended, and then the broker sends the message again. */
  acknowledge(): void;
}

export interface PublishOptions {
  readonly retain?: boolean;
  /** Set where the version knows it. */
  readonly contentType?: string;
}

/** No subscriber: the broker took the message and has nobody to give it to. */
export const noSubscriber = 16;

export class MqttLine {
  readonly version: MqttVersion;
  /** How many unacknowledged publishes the broker allows. */
  readonly receiveMaximum: number;
  /** Largest packet that the broker takes, in bytes. */
  readonly maximumPacketBytes: number;
  /** The broker spreads one subscription over several clients; known of MQTT 5 alone. */
  readonly hasSharedSubscriptions: boolean;
  /** Resolves when the connection has ended, with the reason. */
  readonly closed: Promise<OutpostError>;
  readonly #client: MqttClient;
  readonly #pending = new Set<(error: OutpostError) => void>();
  readonly #codes = new Map<number, number>();
  #heardMonoMs: number;

  constructor(client: MqttClient, { version, url, clock }: MqttOptions) {
    this.#client = client;
    this.version = version;
    this.receiveMaximum = client.serverProperties?.receiveMaximum ?? 65_535;
    this.maximumPacketBytes = client.serverProperties?.maximumPacketSize ?? 268_435_455;
    this.hasSharedSubscriptions = version === '5' && client.serverProperties?.sharedSubscriptionAvailable !== false;
    this.#heardMonoMs = clock.monoMs();
    client.on('packetreceive', (packet) => {
      this.#heardMonoMs = clock.monoMs();
      if (packet.cmd === 'puback') this.#codes.set(packet.messageId ?? 0, packet.reasonCode ?? 0);
    });
    this.closed = whyClosed(client, url).then((error) => {
      for (const reject of this.#pending) reject(error);
      this.#pending.clear();
      return error;
    });
  }

  /** When the broker last said anything, monotonic milliseconds. */
  get heardMonoMs(): number {
    return this.#heardMonoMs;
  }

  /**
   * With QoS 1.
   * @returns the reason code of the PUBACK, 0 where the version has none
   * @throws OutpostError when the line is cut before
   */
  async publish(topic: string, payload: Uint8Array | string, options: PublishOptions = {}): Promise<number> {
    const { retain = false, contentType } = options;
    const bytes = typeof payload === 'string' ? payload : asBuffer(payload);
    const properties = this.version === '5' && contentType !== undefined ? { properties: { contentType } } : {};
    return await new Promise((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new OutpostError('broker-closed'));
        return;
      }
      this.#pending.add(reject);
      let id = 0;
      this.#client.publish(topic, bytes, { qos: 1, retain, ...properties }, () => {
        // mqtt.js also calls this when it gives the connection up: only a PUBACK counts, and `closed` tells the rest.
        const code = this.#codes.get(id);
        if (code === undefined) return;
        this.#codes.delete(id);
        this.#pending.delete(reject);
        resolve(code);
      });
      id = this.#client.getLastMessageId();
    });
  }

  /**
   * With QoS 1.
   * @throws OutpostError `broker-subscription` when the broker refuses one of them, `broker-closed`
   */
  async subscribe(filters: readonly string[]): Promise<void> {
    const codes = await new Promise<readonly number[]>((resolve, reject) => {
      if (!this.#client.connected) {
        reject(new OutpostError('broker-closed'));
        return;
      }
      this.#pending.add(reject);
      this.#client.subscribe([...filters], { qos: 1 }, (error, _granted, packet) => {
        this.#pending.delete(reject);
        const granted = (packet?.granted ?? []).map(Number);
        if (error && granted.length === 0) reject(new OutpostError('broker-subscription', messageOf(error)));
        else resolve(granted);
      });
    });
    const refused = filters.filter((_filter, index) => (codes[index] ?? 128) >= 128);
    if (refused.length > 0) throw new OutpostError('broker-subscription', undefined, { context: { refused, codes } });
  }

  ping(): void {
    if (this.#client.connected) this.#client.sendPing();
  }

  /** Says goodbye, so that the broker keeps the will to itself. */
  async end(): Promise<void> {
    await new Promise<void>((resolve) => this.#client.end(false, {}, () => resolve()));
  }

  /** Cuts the line at once. */
  destroy(): void {
    this.#client.end(true);
  }
}

/** @throws OutpostError `broker-…` with the reason; the signal's reason when aborted */
export async function connectMqtt(options: MqttOptions, signal: AbortSignal): Promise<MqttLine> {
  signal.throwIfAborted();
  // Loaded with the first line: an agent sees before it tells.
  const { connect: openClient } = await import('mqtt');
  signal.throwIfAborted();
  const client = openClient(options.url, clientOptions(options));
  receiveFrom(client, options.receive);
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.on('error', (error) => reject(connectError(error, options.url)));
      client.stream.on('error', (error) => reject(connectError(error, options.url)));
      client.on('close', () => reject(connectError(undefined, options.url)));
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort);
    });
    return new MqttLine(client, options);
  } catch (thrown) {
    client.end(true);
    throw thrown;
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

/** mqtt.js sends a PUBACK when its callback is called without an error, and waits for it before it goes on. */
const unacknowledged = new Error('not yet');

function receiveFrom(client: MqttClient, receive: MqttOptions['receive']): void {
  if (!receive) return;
  client.handleMessage = (packet, callback) => {
    const { topic, payload, retain, dup, qos, messageId = 0 } = packet;
    const acknowledge = (): void => {
      // MQTT 5 section 3.4.2.1: without a reason code it is 0, so these four bytes are right in both versions
      if (qos === 1 && client.connected) {
        client.stream.write(Buffer.from([0x40, 2, Math.floor(messageId / 256), messageId % 256]));
      }
    };
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const isBusy = receive({ topic, payload: bytes, retained: retain, again: dup, acknowledge });
    const goOn = (): void => callback(unacknowledged);
    if (isBusy) void isBusy.then(goOn);
    else goOn();
  };
}

function clientOptions(options: MqttOptions): IClientOptions {
  const { clientId, version, username, password, ca, certificate, key, will, sessionSeconds } = options;
  const { receiveMaximum, largestPacketBytes } = options;
  return {
    clientId,
    protocolVersion: version === '5' ? 5 : 4,
    clean: sessionSeconds === undefined,
    ...(version === '5'
      ? {
          properties: {
            ...(sessionSeconds === undefined ? {} : { sessionExpiryInterval: sessionSeconds }),
            ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
            ...(largestPacketBytes === undefined ? {} : { maximumPacketSize: largestPacketBytes }),
          },
        }
      : {}),
    reconnectPeriod: 0,
    resubscribe: false,
    keepalive: Math.max(1, Math.round(options.keepaliveMs / 1000)),
    connectTimeout: options.connectTimeoutMs,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca ? { ca } : {}),
    ...(certificate ? { cert: certificate } : {}),
    ...(key ? { key } : {}),
    ...(will ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true } } : {}),
  };
}

async function whyClosed(client: MqttClient, url: string): Promise<OutpostError> {
  return await new Promise((resolve) => {
    let last: unknown;
    let reason: number | undefined;
    client.on('error', (error) => {
      last = error;
    });
    // mqtt.js keeps these to itself: a reset is no orderly end
    client.stream.on('error', (error) => {
      last = error;
    });
    client.on('disconnect', (packet) => {
      reason = packet.reasonCode;
    });
    client.on('close', () => resolve(closeError(last, reason, url)));
    if (!client.connected) resolve(closeError(last, reason, url));
  });
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

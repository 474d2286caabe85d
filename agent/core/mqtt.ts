/**
 * The door to MQTT: one connection, QoS 1 publishes with the broker's own answer to each, and how it ended.
 *
 *   connectMqtt --CONNECT--> MqttConnection: publish -> PUBACK reason · subscribe · messages · closed
 *
 * A connection is used once: a fresh client each time, so that nothing of the last one is sent again behind our back.
 */
import { connect as openClient, type IClientOptions, type IPublishPacket, type MqttClient, type Packet } from 'mqtt';
import { OutpostError, messageOf, systemCode } from './errors.ts';
import { redactIn, redactUrl } from './redact-url.ts';

export type MqttProtocol = '5' | '3.1.1';

export interface MqttOptions {
  readonly url: string;
  readonly clientId: string;
  readonly protocol: MqttProtocol;
  readonly keepaliveMs: number;
  readonly connectLimitMs: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly will?: { readonly topic: string; readonly payload: string };
}

export interface MqttPublish {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain?: boolean;
  /** MQTT 5 alone. */
  readonly contentType?: string;
}

export interface MqttConnection extends AsyncDisposable {
  readonly protocol: MqttProtocol;
  /** How many unacknowledged publishes the broker allows; 65,535 when it does not say. */
  readonly receiveMaximum: number;
  /**
   * Resolves with the PUBACK's reason code: 0 delivered, 16 nobody subscribes, 128 and more refused. 3.1.1 always says 0.
   * @throws OutpostError when the connection ends before it
   */
  publish(publish: MqttPublish): Promise<number>;
  /** Resolves when the connection has ended, with why. */
  readonly closed: Promise<OutpostError>;
}

/** @throws OutpostError `broker-*`, by what the broker or the network said */
export async function connectMqtt(options: MqttOptions): Promise<MqttConnection> {
  const client = openClient(options.url, clientOptions(options));
  return await new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      client.end(true);
      reject(explain(error, options));
    };
    const onClose = (): void => onError(new Error('the broker closed the connection before it answered'));
    client.once('error', onError);
    client.once('close', onClose);
    client.once('connect', (packet) => {
      client.off('error', onError);
      client.off('close', onClose);
      const { properties } = packet as { properties?: { receiveMaximum?: number } };
      resolve(new Connection(client, options, properties?.receiveMaximum ?? 65_535));
    });
  });
}

function clientOptions(options: MqttOptions): IClientOptions {
  const { clientId, protocol, keepaliveMs, connectLimitMs, username, password, tls, will } = options;
  return {
    clientId,
    protocolVersion: protocol === '5' ? 5 : 4,
    clean: true,
    keepalive: Math.max(1, Math.round(keepaliveMs / 1000)),
    connectTimeout: connectLimitMs,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    ...(will ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true } } : {}),
  };
}

interface Waiting {
  readonly resolve: (reason: number) => void;
  readonly reject: (error: OutpostError) => void;
}

class Connection implements MqttConnection {
  readonly protocol: MqttProtocol;
  readonly receiveMaximum: number;
  readonly closed: Promise<OutpostError>;
  readonly #client: MqttClient;
  readonly #waiting = new Map<number, Waiting>();
  #ended: OutpostError | undefined;

  constructor(client: MqttClient, options: MqttOptions, receiveMaximum: number) {
    this.#client = client;
    this.protocol = options.protocol;
    this.receiveMaximum = receiveMaximum;
    let lastError: Error | undefined;
    client.on('error', (error) => {
      lastError = error;
    });
    // mqtt.js takes reason 16 for success and hides the others: the packet itself tells.
    client.on('packetreceive', (packet: Packet) => {
      if (packet.cmd === 'puback') this.#settle(packet.messageId ?? 0, packet.reasonCode ?? 0);
    });
    this.closed = new Promise((resolve) => {
      const onEnd = (): void => {
        this.#ended ??= lastError ? explain(lastError, options) : new OutpostError('broker-closed');
        for (const { reject } of this.#waiting.values()) reject(this.#ended);
        this.#waiting.clear();
        resolve(this.#ended);
      };
      client.once('close', onEnd);
      client.on('disconnect', (packet) => {
        if ((packet as { reasonCode?: number }).reasonCode === 142) this.#ended = new OutpostError('broker-taken-over');
      });
    });
  }

  async publish({ topic, payload, retain, contentType }: MqttPublish): Promise<number> {
    if (this.#ended) throw this.#ended;
    return await new Promise<number>((resolve, reject) => {
      let messageId: number | undefined;
      const onSend = (packet: Packet): void => {
        if (packet.cmd !== 'publish' || (packet as IPublishPacket).payload !== bytes) return;
        messageId = packet.messageId;
        this.#client.off('packetsend', onSend);
        if (messageId !== undefined) this.#waiting.set(messageId, { resolve, reject });
      };
      const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      this.#client.on('packetsend', onSend);
      const properties = contentType !== undefined && this.protocol === '5' ? { properties: { contentType } } : {};
      this.#client.publish(topic, bytes, { qos: 1, retain: retain ?? false, ...properties }, (error) => {
        this.#client.off('packetsend', onSend);
        if (error && !(messageId !== undefined && !this.#waiting.has(messageId)))
          reject(new OutpostError('broker-closed', messageOf(error), { cause: error }));
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#client.end(false, {}, () => resolve()));
  }

  #settle(messageId: number, reason: number): void {
    const waiting = this.#waiting.get(messageId);
    this.#waiting.delete(messageId);
    waiting?.resolve(reason);
  }
}

/** What went wrong, as who must act. */
function explain(error: Error, { url }: MqttOptions): OutpostError {
  const code = systemCode(error) ?? '';
  const reason = (error as { code?: unknown }).code;
  const detail = `${redactUrl(url)}: ${redactIn(messageOf(error), url)}`;
  const as = (name: ConstructorParameters<typeof OutpostError>[0]): OutpostError =>
    new OutpostError(name, detail, { cause: error });
  if (reason === 4 || reason === 5 || reason === 134 || reason === 135) return as('broker-credentials');
  if (reason === 1 || reason === 132 || /unacceptable protocol|unsupported protocol/i.test(error.message))
    return as('broker-protocol');
  if (typeof reason === 'number') return as('broker-refused');
  if (/CERT|TLS|SSL|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(code)) return as('broker-tls');
  if (/keepalive|connack timeout/i.test(error.message)) return as('broker-silent');
  if (/ECONN|ENOTFOUND|EAI_AGAIN|EHOST|ENET|ETIMEDOUT/.test(code)) return as('broker-unreachable');
  return as('broker-closed');
}

/** A consumer for tests: remembers what it was sent, and says on `down/ack` what it has, when it is told to. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type Ack, encodeAck, type LaneAck, type SeqRange } from '#agent/domain/ack.ts';
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { downTopic } from '#agent/domain/topics.ts';
import { eventually } from './eventually.ts';
import { newKey, type Signer, signerOf } from '#agent/trust/keys.ts';

const root = 'outpost/v1';
/** Publishes without an answer within a second, one after the other. */
const mostOwed = 10;

export class TestConsumer implements AsyncDisposable {
  readonly signer: Signer;
  readonly client: MqttClient;
  /** Numbers by epoch and lane. */
  readonly committed = new Map<string, Map<Lane, Set<number>>>();
  duplicates = 0;
  /** Which publishes are lost on the way. */
  loses: (payload: string) => boolean = () => false;
  readonly #subscribed = Promise.withResolvers<void>();
  #owed = 0;

  private constructor(client: MqttClient, signer: Signer) {
    this.client = client;
    this.signer = signer;
  }

  static async connect(url: string, options: IClientOptions = {}): Promise<TestConsumer> {
    const client = connect(url, {
      clientId: 'consumer',
      protocolVersion: 4,
      reconnectPeriod: 50,
      resubscribe: false,
      ...options,
    });
    client.on('error', () => undefined);
    const consumer = new TestConsumer(client, signerOf(newKey().privatePem));
    client.on('message', (_topic, payload) => consumer.#take(payload.toString()));
    client.on('connect', () => void consumer.#subscribe());
    await consumer.#subscribed.promise;
    return consumer;
  }

  has(epoch: string, lane: Lane): number {
    return this.committed.get(epoch)?.get(lane)?.size ?? 0;
  }

  /** What it has, as it would say it. */
  ack(device = 'robot-07'): Ack {
    const epochs = [...this.committed].map(
      ([epoch, byLane]) => [epoch, new Map([...byLane].map(([lane, seqs]) => [lane, laneAck(seqs)]))] as const,
    );
    return { device, epochs: new Map(epochs) };
  }

  async say(ack: Ack = this.ack(), sign: Signer['sign'] = this.signer.sign, device = 'robot-07'): Promise<void> {
    await this.publish(encodeAck(ack, sign), device);
  }

  async publish(payload: Buffer | string, device = 'robot-07'): Promise<void> {
    // a cluster that elects a leader may owe a PUBACK for ever
    const publishing = this.client.publishAsync(downTopic(root, device, 'ack'), payload, { qos: 1, retain: true });
    const answered = publishing.then(
      () => true,
      () => false,
    );
    this.#owed = (await Promise.race([answered, delay(1_000, false)])) ? 0 : this.#owed + 1;
    if (this.#owed >= mostOwed) this.#again();
  }

  /** Whether the broker lets a sink hear what goes down and is reported, and send it again: names of what came back. */
  async hearsDown(device: string): Promise<string[]> {
    const heard = new Set<string>();
    this.client.on('message', (topic) => heard.add(topic.split('/').slice(-2).join('/')));
    await this.client.subscribeAsync([`${root}/+/down/desired`, `${root}/+/down/cmd`, `${root}/+/up/reported`], {
      qos: 1,
    });
    for (const name of ['desired', 'cmd'] as const) {
      await this.client.publishAsync(downTopic(root, device, name), '{}', { qos: 1, retain: name === 'desired' });
    }
    await eventually(() => heard.has('down/desired') && heard.has('down/cmd'), 'what went down is heard');
    return [...heard].filter((name) => name.startsWith('down/')).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true);
  }

  /** On each connection, as a sink does: a cluster that elects a leader refuses, and grants it a moment later. */
  async #subscribe(): Promise<void> {
    const granted = await Promise.race([
      this.client.subscribeAsync(`${root}/+/up/+`, { qos: 1 }).catch(() => []),
      delay(10_000, [], { ref: false }),
    ]);
    if (granted.length > 0 && granted.every(({ qos }) => qos < 128)) this.#subscribed.resolve();
    else this.#again();
  }

  /** Another connection. */
  #again(): void {
    this.#owed = 0;
    this.client.stream.destroy();
  }

  #take(text: string): void {
    if (this.loses(text)) return;
    const parsed = JSON.parse(text) as Record<string, unknown> | Record<string, unknown>[];
    for (const { epoch, lane, seq } of Array.isArray(parsed) ? parsed : [parsed]) {
      if (typeof epoch !== 'string' || typeof lane !== 'string' || !isLane(lane)) continue;
      const byLane = this.committed.get(epoch) ?? new Map<Lane, Set<number>>();
      this.committed.set(epoch, byLane);
      const seqs = byLane.get(lane) ?? new Set();
      byLane.set(lane, seqs);
      if (seqs.has(Number(seq))) this.duplicates += 1;
      seqs.add(Number(seq));
    }
  }
}

function laneAck(seqs: ReadonlySet<number>): LaneAck {
  const sorted = [...seqs].toSorted((a, b) => a - b);
  const missing: SeqRange[] = [];
  let before = 0;
  for (const seq of sorted) {
    if (seq > before + 1) missing.push([before + 1, seq - 1]);
    before = seq;
  }
  return { upto: before, missing };
}

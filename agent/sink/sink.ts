/**
 * The reference consumer: takes what devices send, commits it, and only then says so.
 *
 *   broker --publish--> read --> [ queue ] --> one transaction --> PUBACK to the broker
 *                                                            '--> down/ack to the device, signed
 *                                                            '--> down/desired, down/cmd again, to a device that is back
 *
 * A sink that dies anywhere loses nothing: before the commit the broker still has the message unacknowledged, and a
 * device with custody `consumer` has it on its disk; after the commit it comes again and is known.
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine, MqttMessage } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import type { Sign } from '#agent/domain/signature.ts';
import { laneOf, parseTopic, type Topic } from '#agent/domain/topics.ts';
import { Acknowledger } from './acknowledger.ts';
import { commitForCertain } from './commit.ts';
import type { Committed, Intake, ResendLimits, SinkDatabase } from './database.ts';
import { type Downlink, readCommand, readDesired, readReported } from './downlink.ts';
import type { MediaStore } from './media.ts';
import { type Partition, takes } from './partition.ts';
import { parsePresence } from './presence.ts';
import { type Delivery, DeliveryQueue } from './queue.ts';
import { readPublish, type Rejected, reject } from './received.ts';
import { Resender } from './resender.ts';
import type { SinkStatus } from './status.ts';
import { type BrokerOptions, listenDown, openSubscription } from './subscription.ts';

export interface SinkOptions {
  readonly database: SinkDatabase;
  readonly broker: BrokerOptions;
  /** Absent: every device. */
  readonly partition?: Partition | undefined;
  /** Signs acknowledgements. */
  readonly sign: Sign;
  readonly status: SinkStatus;
  /** Where media goes; absent: it stays in the database. */
  readonly media?: MediaStore | undefined;
  readonly resends?: ResendLimits;
  /** Told each time the subscriptions stand. */
  readonly onReady?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const backoffMs = { minMs: 200, maxMs: 30_000 };
const stableMs = 10_000;
/** What is committed is still told when the sink is to end. */
const goodbyeMs = 2_000;

/** Until aborted: what is committed by then is acknowledged, the rest comes again. */
export async function runSink(options: SinkOptions, signal: AbortSignal): Promise<void> {
  const { database, broker, sign, status, clock, random, log } = options;
  const queue = new DeliveryQueue();
  const acknowledger = new Acknowledger({ database, root: broker.root, sign, status, clock, random, log });
  const listen = async (line: MqttLine): Promise<void> => await listenDown(line, broker);
  const limits = options.resends && { limits: options.resends };
  const resender = new Resender({ database, root: broker.root, listen, ...limits, status, clock, log });
  const over = new AbortController();
  const lines = keepLine(options, queue, [acknowledger, resender], over.signal);
  const telling = acknowledger.run(signal);
  const resending = resender.run(signal);
  const storing = options.media?.run(signal);
  try {
    await commitRounds(options, queue, acknowledger, resender, signal);
    await atMost(goodbyeMs, clock, async () => {
      await telling;
      await acknowledger.flush();
    });
  } finally {
    over.abort();
    await lines;
    await telling;
    await resending;
    await storing;
  }
}

/** A broker that does not answer keeps nobody from ending. */
async function atMost(ms: number, clock: Clock, work: () => Promise<void>): Promise<void> {
  const limit = new AbortController();
  const late = clock.sleep(ms, limit.signal).catch(() => undefined);
  await Promise.race([work(), late]);
  limit.abort();
}

async function commitRounds(
  options: SinkOptions,
  queue: DeliveryQueue,
  acknowledger: Acknowledger,
  resender: Resender,
  signal: AbortSignal,
): Promise<void> {
  const { status, clock, log } = options;
  while (!signal.aborted) {
    const deliveries = await queue.take(signal);
    if (deliveries.length === 0) continue;
    const startMs = clock.monoMs();
    const intake = gather(deliveries);
    const committed = await commitForCertain(intake, options, signal);
    if (!committed) return;
    for (const delivery of deliveries) delivery.acknowledge();
    acknowledger.tell(committed.devices);
    resender.look(intake.presences.flatMap(({ online, device }) => (online ? [device] : [])));
    if (committed.chunks > 0) options.media?.ring();
    queue.release(deliveries);
    status.waiting = { publishes: queue.publishes, bytes: queue.bytes };
    status.committed(committed, deliveries.length, clock.monoMs() - startMs);
    complain(committed, intake.rejected, log);
  }
}

const gather = (deliveries: readonly Delivery[]): Intake => ({
  events: deliveries.flatMap(({ events }) => events),
  rejected: deliveries.flatMap(({ rejected }) => rejected),
  presences: deliveries.flatMap(({ presence }) => presence ?? []),
  downlinks: deliveries.flatMap(({ downlink }) => downlink ?? []),
});

function complain({ conflicts }: Committed, rejected: readonly Rejected[], log: Log): void {
  for (const { key, seq } of conflicts.slice(0, 10)) {
    log.error('One number came with two contents; the first is kept, the other is set aside.', { ...key, seq });
  }
  const [first] = rejected;
  if (first) {
    const { device, topic, reason } = first;
    log.warn('What is no event was set aside.', { count: rejected.length, device, topic, reason });
  }
}

/** Connects, for ever. */
async function keepLine(
  options: SinkOptions,
  queue: DeliveryQueue,
  users: readonly { use(line: MqttLine | undefined): void }[],
  signal: AbortSignal,
): Promise<void> {
  const { broker, status, clock, random, log } = options;
  const backoff = new Backoff(backoffMs, random);
  const receive = (message: MqttMessage): Promise<void> | undefined => {
    const delivery = read(message, options);
    if (!delivery) return undefined;
    const busy = queue.offer(delivery);
    status.waiting = { publishes: queue.publishes, bytes: queue.bytes };
    return busy;
  };
  while (!signal.aborted) {
    try {
      const line = await openSubscription(broker, receive, clock, signal);
      ready(options, line);
      for (const user of users) user.use(line);
      const fromMs = clock.monoMs();
      const reason = await endOf(line, clock, signal);
      for (const user of users) user.use(undefined);
      status.broker = undefined;
      if (!reason) return;
      if (clock.monoMs() - fromMs > stableMs) backoff.reset();
      throw reason;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toOutpostError(thrown);
      if (status.brokerError?.code !== error.code || backoff.failures === 0) {
        log.warn('The line to the broker is cut; it is tried again.', { error });
      }
      status.brokerError = error;
    }
    await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
  }
}

function ready({ status, broker, partition, onReady, log }: SinkOptions, line: MqttLine): void {
  const shared = line.hasSharedSubscriptions && broker.group !== undefined;
  status.broker = { version: line.version, shared };
  status.brokerError = undefined;
  log.info('Subscribed.', { protocol: line.version, shared });
  if (!shared && !partition && broker.group !== undefined) {
    log.warn('The broker cannot share a subscription: with more than one sink, give each its --partition.');
  }
  onReady?.();
}

/** @returns why the broker ended it; undefined when we did */
async function endOf(line: MqttLine, clock: Clock, signal: AbortSignal): Promise<Error | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
    if (signal.aborted) resolve(undefined);
  });
  const reason = await Promise.race([line.closed, aborted]);
  // DISCONNECT after the PUBACKs that were written
  if (!reason) await atMost(goodbyeMs, clock, async () => await line.end());
  line.destroy();
  return reason;
}

/** @returns undefined for what is not for this sink: it is acknowledged and forgotten */
function read(message: MqttMessage, options: SinkOptions): Delivery | undefined {
  const { topic, payload } = message;
  const { broker, partition } = options;
  const acknowledge = (): void => message.acknowledge();
  const parsed = parseTopic(broker.root, topic);
  const base = { events: [], rejected: [], presence: undefined, bytes: payload.length + 256, acknowledge };
  const aside = (device: string, reason: string): Delivery => ({
    ...base,
    rejected: [reject({ topic: topic.slice(0, 200), device, payload, reason, identity: undefined })],
  });
  if (!parsed) return aside('', 'not a topic of a device');
  const { device } = parsed;
  if (partition && !takes(partition, device)) {
    acknowledge();
    return undefined;
  }
  if (parsed.direction === 'down' || parsed.name === 'reported') {
    const downlink = readDownlink(parsed, payload);
    if (typeof downlink !== 'string') return { ...base, downlink };
    garbled(downlink, topic, options);
    acknowledge();
    return undefined;
  }
  const lane = laneOf(parsed.name);
  if (lane) return { ...base, ...readPublish(topic, device, lane, payload) };
  if (payload.length === 0) {
    acknowledge();
    return undefined;
  }
  const presence = parsePresence(device, payload);
  return typeof presence === 'string' ? aside(device, presence) : { ...base, presence };
}

function readDownlink({ device, name }: Topic, payload: Buffer): Downlink | string {
  if (name === 'reported') return readReported(device, payload);
  if (name === 'desired') return readDesired(device, payload);
  return name === 'cmd' ? readCommand(device, payload) : 'not a topic that was asked for';
}

/** Nothing that a sink must keep: whoever sent it is told by the device. */
function garbled(reason: string, topic: string, { status, log }: SinkOptions): void {
  if (status.counts.garbled === 0)
    log.warn('What goes down to a device, or is reported, cannot be read.', { topic, reason });
  status.garbled();
}

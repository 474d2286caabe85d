/**
 * One connection while it lives: drained into, watched, and ended with a goodbye.
 *
 *   subscribe -> presence -> drain ... until aborted -> what is in flight -> offline -> DISCONNECT
 *                         -> watch: nothing heard for 1.5 keep-alives, or no PUBACK or SUBACK for as long: cut
 *                         ... until another is to take its place -> what is in flight -> DISCONNECT
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { ConsumerCustody } from './consumer-custody.ts';
import { Drain, type DrainReport, packetTooLarge } from './drain.ts';
import { LineRate } from './line-rate.ts';
import { Owed } from './owed.ts';
import type { Source } from './source.ts';
import type { Suspects } from './suspects.ts';
import { Wakeup } from './wakeup.ts';

export type LineRole = 'main' | 'alarm';

export interface LineReport extends DrainReport {
  /** The broker has answered more than the CONNECT. */
  proved(): void;
  /** It has lasted: the next failure begins with a short wait. */
  stable(): void;
  /** What the line carries, as far as it is known. */
  rate(rate: LineRate): void;
}

export interface LineOptions {
  readonly line: MqttLine;
  readonly lanes: readonly Lane[];
  readonly source: Source;
  readonly topicOf: (lane: Lane) => string;
  readonly presence: { readonly topic: string; say(online: boolean): string } | undefined;
  /** Filters of what comes down; empty: nothing does. */
  readonly subscriptions: readonly string[];
  readonly consumer: ConsumerCustody | undefined;
  readonly suspects: Suspects;
  readonly health: Health;
  readonly keepaliveMs: number;
  readonly report: LineReport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const batchLimits = { maxEvents: 64, maxBytes: 64 * 1024 };
/** Batches in flight: enough for a fast broker, little enough for a slow line. */
const largestWindow = 16;
/** Gathering ends well before the 200 ms that an event may be late. */
const lateMs = 120;
const presenceMs = 60_000;
const settleMs = 500;
const goodbyeMs = 700;
const stableMs = 10_000;
const relistenMs = { minMs: 2_000, maxMs: 60_000 };

/**
 * Until aborted: `signal` ends with a goodbye, `renew` in good order for another line that takes this one's place.
 * @throws OutpostError that tells why the line was cut
 */
export async function serveLine(options: LineOptions, signal: AbortSignal, renew: AbortSignal): Promise<void> {
  const { line, report, clock } = options;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, renew, over.signal]);
  const rate = isAlarm(options) ? undefined : new LineRate(batchLimits.maxBytes);
  if (rate) report.rate(rate);
  const drain = new Drain(drainOptions(options, rate));
  const owed = new Owed(clock);
  const cut = async (): Promise<never> => {
    throw await line.closed;
  };
  const lasts = clock.sleep(stableMs, stop).then(
    () => report.stable(),
    () => undefined,
  );
  const listening = listen(options, owed, stop);
  const telling = tell(options, owed, rate, stop);
  const draining = drain.run(stop);
  const oldestSentMonoMs = (): number => Math.min(drain.oldestSentMonoMs ?? Infinity, owed.oldestMonoMs);
  const watching = watch(options, oldestSentMonoMs, stop);
  try {
    await Promise.race([draining, cut(), watching.then(async () => await draining)]);
    if (signal.aborted || renew.aborted) await goodbye(options, signal.aborted);
  } finally {
    over.abort();
    line.destroy();
    await Promise.all([lasts, listening, telling, watching.catch(() => undefined), draining.catch(() => undefined)]);
  }
}

const isAlarm = ({ lanes }: LineOptions): boolean => lanes.length === 1 && lanes[0] === 'alarm';

/** Topic, properties and the fixed header. */
const aroundBytes = 256;

function drainOptions(options: LineOptions, rate: LineRate | undefined) {
  const { line, lanes, source, topicOf, consumer, suspects, report, clock, random, log } = options;
  const alone = isAlarm(options);
  const maxBytes = Math.min(batchLimits.maxBytes, line.maximumPacketBytes - aroundBytes);
  return {
    source,
    lanes,
    topicOf,
    publish: async (topic: string, payload: Uint8Array, contentType: string) =>
      payload.byteLength > line.maximumPacketBytes - aroundBytes
        ? packetTooLarge
        : await line.publish(topic, payload, { contentType }),
    rate,
    consumer,
    suspects,
    limits: alone ? { maxEvents: 1, maxBytes } : { ...batchLimits, maxBytes },
    window: Math.min(largestWindow, line.receiveMaximum),
    lateMs: alone ? 0 : lateMs,
    report,
    clock,
    random,
    log,
  };
}

/**
 * Without the consumer's word events wait: a refused subscription is said, and the line goes on. It is tried again,
 * since a cluster that elects a leader refuses what it grants a moment later.
 */
async function listen(options: LineOptions, owed: Owed, signal: AbortSignal): Promise<void> {
  const { subscriptions, clock, random } = options;
  const backoff = new Backoff(relistenMs, random);
  while (subscriptions.length > 0 && !signal.aborted && !(await hears(options, owed))) {
    await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
  }
}

/** @returns false when it is refused */
async function hears({ line, subscriptions, health, log }: LineOptions, owed: Owed): Promise<boolean> {
  try {
    await owed.until(line.subscribe(subscriptions));
    health.clear('uplink-deaf', 'agent');
    return true;
  } catch (thrown) {
    const { code, message, hint } = toOutpostError(thrown);
    if (code === 'broker-closed') return true;
    log.warn('The broker refuses a subscription.', { subscriptions });
    health.set('uplink-deaf', 'agent', `${message} [${code}] ${hint}`);
    return false;
  }
}

/** Says that it is here, again when health changes, and once a minute. */
async function tell(options: LineOptions, owed: Owed, rate: LineRate | undefined, signal: AbortSignal): Promise<void> {
  const { line, presence, health, report, clock, log } = options;
  if (!presence) {
    // The alarm line has nothing to say: a ping's answer proves it.
    const connectedMonoMs = line.heardMonoMs;
    line.ping();
    while (!signal.aborted && line.heardMonoMs === connectedMonoMs) {
      await clock.sleep(20, signal).catch(() => undefined);
    }
    if (!signal.aborted) report.proved();
    return;
  }
  const wakeup = new Wakeup(clock);
  const end = health.onChange(() => wakeup.ring());
  try {
    while (!signal.aborted) {
      const sentMonoMs = clock.monoMs();
      const publishing = line.publish(presence.topic, presence.say(true), { retain: true, contentType: json });
      const code = await owed.until(publishing);
      rate?.roundTrip(clock.monoMs() - sentMonoMs);
      if (code >= 128) log.warn('The broker refuses the presence topic.', { reason: code });
      report.proved();
      await clock.sleep(settleMs, signal).catch(() => undefined);
      await wakeup.wait(signal, presenceMs);
    }
  } catch {
    // the line was cut: `closed` tells why
  } finally {
    end();
  }
}

const json = 'application/json';

/** Asks when the broker is silent, and gives the line up before one and a half keep-alives have passed. */
async function watch(
  { line, keepaliveMs, clock }: LineOptions,
  oldestSentMonoMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  const everyMs = keepaliveMs / 8;
  const limitMs = keepaliveMs * 1.5 - everyMs;
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const now = clock.monoMs();
    const silentMs = now - line.heardMonoMs;
    const unansweredMs = Math.max(0, now - oldestSentMonoMs());
    if (silentMs >= limitMs || unansweredMs >= limitMs) {
      throw new OutpostError('broker-silent', undefined, {
        context: { silentMs: Math.round(silentMs), unansweredMs: Math.round(unansweredMs) },
      });
    }
    if (silentMs >= keepaliveMs / 2) line.ping();
  }
}

async function goodbye({ line, presence, clock }: LineOptions, isLast: boolean): Promise<void> {
  const limit = new AbortController();
  const late = clock.sleep(goodbyeMs, limit.signal).catch(() => undefined);
  const say = async (): Promise<void> => {
    if (presence && isLast)
      await line.publish(presence.topic, presence.say(false), { retain: true, contentType: json });
    await line.end();
  };
  await Promise.race([say().catch(() => undefined), late]);
  limit.abort();
}

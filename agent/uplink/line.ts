/**
 * One connection while it lives: drained into, watched, and ended with a goodbye.
 *
 *   presence -> drain ... until aborted -> what is in flight -> offline -> DISCONNECT
 *            -> watch: nothing heard for 1.5 keep-alives, or no PUBACK for as long: cut
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { Drain, type DrainReport } from './drain.ts';
import type { Source } from './source.ts';
import { Wakeup } from './wakeup.ts';

export type LineRole = 'main' | 'alarm';

export interface LineReport extends DrainReport {
  /** The broker has answered more than the CONNECT. */
  proved(): void;
  /** It has lasted: the next failure begins with a short wait. */
  stable(): void;
}

export interface LineOptions {
  readonly line: MqttLine;
  readonly lanes: readonly Lane[];
  readonly source: Source;
  readonly topicOf: (lane: Lane) => string;
  readonly presence: { readonly topic: string; say(online: boolean): string } | undefined;
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

/** Until aborted. @throws OutpostError that tells why the line was cut */
export async function serveLine(options: LineOptions, signal: AbortSignal): Promise<void> {
  const { line, report, clock } = options;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const drain = new Drain(drainOptions(options));
  const cut = async (): Promise<never> => {
    throw await line.closed;
  };
  const lasts = clock.sleep(stableMs, stop).then(
    () => report.stable(),
    () => undefined,
  );
  const telling = tell(options, stop);
  const draining = drain.run(stop);
  const watching = watch(options, drain, stop);
  try {
    await Promise.race([draining, cut(), watching.then(async () => await draining)]);
    if (signal.aborted) await goodbye(options);
  } finally {
    over.abort();
    line.destroy();
    await Promise.all([lasts, telling, watching.catch(() => undefined)]);
  }
}

function drainOptions({ line, lanes, source, topicOf, report, clock, random, log }: LineOptions) {
  const alone = lanes.length === 1 && lanes[0] === 'alarm';
  const maxBytes = Math.min(batchLimits.maxBytes, line.maximumPacketBytes - 512);
  return {
    source,
    lanes,
    topicOf,
    publish: async (topic: string, payload: Uint8Array, contentType: string) =>
      await line.publish(topic, payload, { contentType }),
    limits: alone ? { maxEvents: 1, maxBytes } : { ...batchLimits, maxBytes },
    window: Math.min(largestWindow, line.receiveMaximum),
    lateMs: alone ? 0 : lateMs,
    report,
    clock,
    random,
    log,
  };
}

/** Says that it is here, again when health changes, and once a minute. */
async function tell({ line, presence, health, report, clock, log }: LineOptions, signal: AbortSignal): Promise<void> {
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
      const code = await line.publish(presence.topic, presence.say(true), { retain: true, contentType: json });
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
async function watch({ line, keepaliveMs, clock }: LineOptions, drain: Drain, signal: AbortSignal): Promise<void> {
  const everyMs = keepaliveMs / 8;
  const limitMs = keepaliveMs * 1.5 - everyMs;
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const now = clock.monoMs();
    const silentMs = now - line.heardMonoMs;
    const unansweredMs = now - (drain.oldestSentMonoMs ?? now);
    if (silentMs >= limitMs || unansweredMs >= limitMs) {
      throw new OutpostError('broker-silent', undefined, {
        context: { silentMs: Math.round(silentMs), unansweredMs: Math.round(unansweredMs) },
      });
    }
    if (silentMs >= keepaliveMs / 2) line.ping();
  }
}

async function goodbye({ line, presence, clock }: LineOptions): Promise<void> {
  const limit = new AbortController();
  const late = clock.sleep(goodbyeMs, limit.signal).catch(() => undefined);
  const say = async (): Promise<void> => {
    if (presence) await line.publish(presence.topic, presence.say(false), { retain: true, contentType: json });
    await line.end();
  };
  await Promise.race([say().catch(() => undefined), late]);
  limit.abort();
}

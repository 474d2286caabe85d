/** What the tests of this room share: a store, events, and an uplink that runs until it is disposed. */
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { type Log, silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';
import type { TestSubscriber } from '#agent/testing/broker.ts';
import { trustedKeys } from '#agent/trust/keys.ts';
import { uplinkSchema } from '#config/schema.ts';
import { Uplink } from './uplink.ts';

export const event = (lane: Lane, n: number, detail?: string): Event => ({
  kind: 'camera',
  phase: 'start',
  lane,
  subject: 'camera/front',
  wallMs: 1_795_334_400_000 + n,
  monoMs: n,
  data: { incident: `i-${n}`, condition: 'black', durationMs: n, ...(detail === undefined ? {} : { detail }) },
});

export const many = (lane: Lane, count: number, from = 1): Event[] =>
  Array.from({ length: count }, (_none, index) => event(lane, from + index));

export const upTo = (count: number): number[] => Array.from({ length: count }, (_none, index) => index + 1);

export const seqs = (events: readonly Record<string, unknown>[]): number[] =>
  [...new Set(events.map(({ seq }) => Number(seq)))].toSorted((a, b) => a - b);

export const laneSeqs = (subscriber: TestSubscriber, lane: Lane): number[] => seqs(subscriber.events(lane));

export const depth = (outbox: Outbox): number => Object.values(outbox.state).reduce((sum, lane) => sum + lane.depth, 0);

export async function openStore(path: string, device = 'robot-07'): Promise<Outbox> {
  return await openOutbox({ path, device, maxSizeBytes: 64 * 1024 * 1024, clock: systemClock, log: silentLog });
}

/** An uplink that runs until disposed. */
export function startUplink(
  outbox: Outbox,
  config: Record<string, unknown>,
  log: Log = silentLog,
  device = 'robot-07',
) {
  const health = new Health(systemClock);
  const parsed = uplinkSchema.parse({ keepalive: '2s', ...config });
  const uplink = new Uplink({
    outbox,
    config: parsed,
    device,
    verify: parsed.consumers.length > 0 ? trustedKeys(parsed.consumers) : undefined,
    health,
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const ending = new AbortController();
  const running = uplink.run(ending.signal);
  return {
    uplink,
    health,
    /** The codes of what is wrong now. */
    codes: () => health.entries().map(({ code }) => code),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

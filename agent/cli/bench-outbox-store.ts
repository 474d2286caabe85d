/** The store of the benches: events of 1 KiB, as many as are to wait. */
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import type { Event } from '#agent/domain/event.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';

const gibibyte = 1024 ** 3;

/** One flat text: what is measured is the outbox, not how its users put texts together. */
const detail = Buffer.alloc(620, 'x').toString();

/** About 1 KiB as it is sent. */
export const benchEvent = (n: number): Event => ({
  kind: 'camera',
  phase: 'start',
  lane: 'event',
  subject: 'camera/front',
  wallMs: 1_795_334_400_000 + n,
  monoMs: n,
  data: { incident: `i-${n}`, condition: 'black', durationMs: n, detail },
});

export const openBenchOutbox = async (path: string): Promise<Outbox> =>
  await openOutbox({ path, device: 'bench', maxSizeBytes: 8 * gibibyte, clock: systemClock, log: silentLog });

export async function fillTo(outbox: Outbox, waiting: number): Promise<void> {
  while (outbox.state.event.depth < waiting) {
    const missing = waiting - outbox.state.event.depth;
    const groups = Array.from({ length: Math.min(8, Math.ceil(missing / 1_000)) }, (_none, group) =>
      Math.min(1_000, missing - group * 1_000),
    );
    await Promise.all(
      groups.map(async (count) => await outbox.append(Array.from({ length: count }, (_each, n) => benchEvent(n)))),
    );
  }
}

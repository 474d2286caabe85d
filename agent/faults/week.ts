/**
 * A process that lives through a week without a line: so many events wait, then they are handed over. Says on stdout, as
 * one line of JSON, what became of its memory, of its appends, and whether every number came out once and in order.
 *
 *   node agent/faults/week.ts FOLDER EVENTS
 */
import { systemClock } from '#agent/core/clock.ts';
import type { Batch, Position } from '#agent/outbox/outbox.ts';
import { openTestOutbox, testEvent } from '#agent/outbox/test-rig.ts';

const [folder = '', count = '1000000'] = process.argv.slice(2);
const events = Number(count);
const outbox = await openTestOutbox(folder, { maxSizeBytes: 8e9 });

async function fill(to: number): Promise<void> {
  while (outbox.state.event.depth < to) {
    const missing = Math.min(4_000, to - outbox.state.event.depth);
    const groups = Array.from({ length: Math.ceil(missing / 500) }, (_none, group) =>
      Math.min(500, missing - group * 500),
    );
    await Promise.all(
      groups.map(
        async (size) => await outbox.append(Array.from({ length: size }, (_each, n) => testEvent('event', n, 620))),
      ),
    );
  }
}

/** In batches as the uplink reads. */
async function readAll(take: (batch: Batch) => Promise<void> | void): Promise<void> {
  let after: Position | undefined;
  for (;;) {
    const batch = await outbox.peek('event', after, { maxEvents: 64, maxBytes: 128 * 1024 });
    if (!batch) return;
    await take(batch);
    after = { epoch: batch.epoch, seq: batch.last };
  }
}

/** Milliseconds, of 1,000 single appends. */
async function appendMs(): Promise<{ p50: number; p99: number }> {
  const taken: number[] = [];
  for (let n = 0; n < 1_000; n += 1) {
    const before = systemClock.monoMs();
    await outbox.append([testEvent('event', n, 620)]);
    taken.push(systemClock.monoMs() - before);
  }
  taken.sort((a, b) => a - b);
  return { p50: taken[500] ?? 0, p99: taken[990] ?? 0 };
}

/** Heaps and caches have found their size by then. */
const early = Math.max(50_000, Math.round(events / 10));
await fill(early);
await readAll(() => undefined);
const [earlyMs, earlyRss] = [await appendMs(), process.memoryUsage.rss()];
await fill(events);
const [lateMs, lateRss] = [await appendMs(), process.memoryUsage.rss()];
const appended = outbox.state.event.lastSeq;

const begin = systemClock.monoMs();
let [drained, outOfOrder, batches] = [0, 0, 0];
await readAll(async ({ first, last, count: size, epoch }) => {
  if (first !== drained + 1 || last !== drained + size) outOfOrder += 1;
  drained += size;
  batches += 1;
  if (batches % 8 === 0) await outbox.ack('event', { epoch, seq: last });
});
await outbox.ack('event', { epoch: outbox.epoch, seq: drained });
const seconds = (systemClock.monoMs() - begin) / 1_000;
const left = outbox.state.event.depth;
const drainedRss = process.memoryUsage.rss();
await outbox[Symbol.asyncDispose]();
process.stdout.write(
  `${JSON.stringify({ appended, drained, outOfOrder, left, seconds, earlyMs, lateMs, earlyRss, lateRss, drainedRss })}\n`,
);

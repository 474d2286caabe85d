/**
 * Whether what waits makes anything slower: three stores with more and more in them, measured in turn, so that what the
 * machine does meanwhile touches all of them alike.
 *
 *   1,000 | 100,000 | 1,000,000 waiting:  appends, one by one · batches read and removed · filled again · the next store
 */
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import type { Outbox, Position } from '#agent/outbox/outbox.ts';
import { benchEvent, fillTo, openBenchOutbox } from './bench-outbox-store.ts';
import { type BenchRow, median, percentile } from './bench-row.ts';
import { note } from './output.ts';

const depths = [1_000, 100_000, 1_000_000];
const turns = 10;
const appendsATurn = 300;
const removedATurn = 960;

export async function growth(folder: string, rounds: number): Promise<readonly BenchRow[]> {
  await using open = new AsyncDisposableStack();
  const stores: Store[] = [];
  for (const waiting of depths) {
    const outbox = open.use(await openBenchOutbox(join(folder, `growth-${waiting}`)));
    await fillTo(outbox, waiting);
    stores.push({ outbox, waiting, appendsMs: [], rates: [] });
  }
  // the first turn is for warming up
  for (let turn = 0; turn <= rounds * turns; turn += 1) for (const store of stores) await measure(store, turn > 0);
  for (const { waiting, appendsMs, rates } of stores) {
    note(
      `${waiting} waiting: append p50 ${percentile(appendsMs, 0.5).toFixed(2)} ms, p99 ${percentile(appendsMs, 0.99).toFixed(2)} ms, ` +
        `${Math.round(median(rates))} read and removed/s`,
    );
  }
  return [
    spread(
      'append p99 with 1,000, 100,000 and 1,000,000 waiting',
      stores.map(({ appendsMs }) => percentile(appendsMs, 0.99)),
      (value) => `${value.toFixed(2)} ms`,
    ),
    spread(
      'read and removed/s with as many waiting',
      stores.map(({ rates }) => median(rates)),
      (value) => Math.round(value).toLocaleString('en'),
    ),
  ];
}

interface Store {
  readonly outbox: Outbox;
  readonly waiting: number;
  readonly appendsMs: number[];
  readonly rates: number[];
}

async function measure({ outbox, waiting, appendsMs, rates }: Store, counts: boolean): Promise<void> {
  for (let n = 0; n < appendsATurn; n += 1) {
    const begin = systemClock.monoMs();
    await outbox.append([benchEvent(n)]);
    if (counts) appendsMs.push(systemClock.monoMs() - begin);
  }
  const rate = await removeRate(outbox, removedATurn);
  if (counts) rates.push(rate);
  await fillTo(outbox, waiting);
}

function spread(what: string, values: readonly number[], show: (value: number) => string): BenchRow {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return {
    what,
    ours: show(most),
    against: show(least),
    ratio: most / least,
    goal: '<= 1.3',
    met: most / least <= 1.3,
  };
}

/** Batches of 64, removed every 8, as the uplink does. */
async function removeRate(outbox: Outbox, events: number): Promise<number> {
  const begin = systemClock.monoMs();
  let after: Position | undefined;
  let [batches, removed] = [0, 0];
  const removing: Promise<void>[] = [];
  while (removed < events) {
    const batch = await outbox.peek('event', after, { maxEvents: Math.min(64, events - removed), maxBytes: 1024 ** 2 });
    if (!batch) break;
    after = { epoch: batch.epoch, seq: batch.last };
    removed += batch.count;
    batches += 1;
    if (batches % 8 === 0) removing.push(outbox.ack('event', after));
  }
  if (after) removing.push(outbox.ack('event', after));
  await Promise.all(removing);
  return (removed * 1_000) / (systemClock.monoMs() - begin);
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { needOf } from './budget.ts';
import type { Outbox } from './outbox.ts';
import { numbers, openTestOutbox, range, type StoredEvent, testEvent, waiting } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-budget-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const maxSizeBytes = 200_000;
const fill = async (outbox: Outbox, lane: Lane, count: number): Promise<void> => {
  for (const n of range(1, count)) await outbox.append([testEvent(lane, n, 1_000)]);
};
const dropped = (events: readonly StoredEvent[]) =>
  events.filter(({ type }) => type === 'outpost.dropped').map(({ data }) => data);

/** Every number of a lane either waits or was declared, once. */
async function accounted(outbox: Outbox, lane: Lane): Promise<void> {
  const there = numbers(await waiting(outbox, lane)).filter((seq) => seq > 0);
  const declared = dropped(await waiting(outbox, 'audit'))
    .filter((data) => data['lane'] === lane)
    .flatMap((data) => range(Number(data['first']), Number(data['last'])));
  expect([...there, ...declared].toSorted((a, b) => a - b)).toEqual(range(1, outbox.state[lane].lastSeq));
}

describe('an event that nobody takes', () => {
  it('is given up alone, and declared as poison; alarms and declarations stay', async () => {
    await using outbox = await openTestOutbox(folder, { maxSizeBytes });
    await fill(outbox, 'event', 5);
    await fill(outbox, 'alarm', 2);
    const told: Lane[] = [];
    outbox.onAppend((lanes) => void told.push(...lanes));
    const { epoch } = outbox;
    await outbox.setAside('event', { epoch, seq: 3 });
    await outbox.setAside('event', { epoch, seq: 3 });
    await outbox.setAside('event', { epoch, seq: 99 });
    await outbox.setAside('event', { epoch: 'another', seq: 1 });
    await outbox.setAside('alarm', { epoch, seq: 1 });
    await outbox.setAside('audit', { epoch, seq: 1 });
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1, 2, 4, 5]);
    expect(numbers(await waiting(outbox, 'alarm'))).toEqual([1, 2]);
    expect(dropped(await waiting(outbox, 'audit'))).toMatchObject([
      { lane: 'event', first: '3', last: '3', count: 1, reason: 'poison' },
    ]);
    expect(told).toContain('audit');
    await accounted(outbox, 'event');
  });
});

describe('a full budget', () => {
  it('gives up media, then telemetry, then events, oldest first, and declares each in lane audit', async () => {
    await using outbox = await openTestOutbox(folder, { maxSizeBytes });
    await fill(outbox, 'media', 30);
    await fill(outbox, 'telemetry', 30);
    await fill(outbox, 'submission', 10);
    await fill(outbox, 'event', 200);
    expect(outbox.state.media.depth).toBe(0);
    expect(outbox.state.telemetry.depth).toBe(0);
    expect(outbox.state.submission.depth).toBe(10);
    expect(outbox.state.event.depth).toBeGreaterThan(50);
    for (const lane of ['media', 'telemetry', 'event'] as const) await accounted(outbox, lane);
    const declared = dropped(await waiting(outbox, 'audit'));
    expect([...new Set(declared.map(({ lane }) => lane))]).toEqual(['media', 'telemetry', 'event']);
    expect(declared.every(({ reason }) => reason === 'budget')).toBe(true);
    expect((await waiting(outbox, 'audit')).map(checkEvent).filter(Boolean)).toEqual([]);
  });

  it('never costs an event for the sake of telemetry', async () => {
    await using outbox = await openTestOutbox(folder, { maxSizeBytes });
    await fill(outbox, 'event', 100);
    await fill(outbox, 'telemetry', 100);
    expect(outbox.state.event.depth).toBe(100);
    await accounted(outbox, 'telemetry');
  });

  it('keeps alarms: they use the reserve, then everything else; then they alone are refused, and the others too', async () => {
    const health = new Health(systemClock);
    await using outbox = await openTestOutbox(folder, { maxSizeBytes, health });
    await fill(outbox, 'event', 100);
    let stored = 0;
    await expect(
      (async () => {
        for (;;) {
          await outbox.append([testEvent('alarm', stored, 1_000)]);
          stored += 1;
        }
      })(),
    ).rejects.toMatchObject({ code: 'outbox-full', kind: 'limit' });
    expect(outbox.state.event.depth).toBe(0);
    expect(numbers(await waiting(outbox, 'alarm'))).toEqual(range(1, stored));
    await accounted(outbox, 'event');
    await expect(outbox.append([testEvent('event', 1)])).rejects.toMatchObject({ code: 'outbox-full' });
    expect(health.entries().map(({ code }) => code)).toEqual(['outbox-full']);
    await outbox.ack('alarm', { epoch: outbox.epoch, seq: stored });
    await outbox.append([testEvent('event', 1)]);
    expect(health.entries()).toEqual([]);
    expect(outbox.state.event.lastSeq).toBe(101);
  });

  it('refuses one append and stores the others of the same transaction', async () => {
    await using outbox = await openTestOutbox(folder, { maxSizeBytes });
    const results = await Promise.allSettled([
      outbox.append([testEvent('event', 1)]),
      outbox.append([testEvent('telemetry', 2, 100_000), testEvent('telemetry', 3, 100_000)]),
      outbox.append([testEvent('event', 4)]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1, 2]);
    expect(outbox.state.telemetry.lastSeq).toBe(0);
  });

  it('is declared exactly when the store is opened again with a smaller budget', async () => {
    {
      await using outbox = await openTestOutbox(folder);
      await fill(outbox, 'event', 100);
    }
    await using outbox = await openTestOutbox(folder, { maxSizeBytes: 50_000 });
    await outbox.append([testEvent('event', 101)]);
    expect(outbox.state.event.bytes).toBeLessThan(50_000);
    await accounted(outbox, 'event');
  });
});

it('takes from a lane only what is not above the newcomer', () => {
  expect(needOf(['telemetry'], 10, 0, 800).from).toEqual(['media', 'telemetry']);
  expect(needOf(['event'], 10, 0, 800).from).toEqual(['media', 'telemetry', 'audit', 'event']);
  expect(needOf(['alarm'], 10, 0, 800)).toMatchObject({ overBytes: -790 });
  expect(needOf(['event', 'alarm'], 10, 700, 800)).toMatchObject({ overBytes: 10 });
});

/** Events outlive their use by monotonic time within one boot, and by nothing else. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Clock } from '#agent/core/clock.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { numbers, openTestOutbox, testEvent, testHost, waiting } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-expiry-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A clock whose hands the test sets. */
class SetClock implements Clock {
  wall = 1_795_334_400_000;
  mono = 1_000;
  readonly wallMs = (): number => this.wall;
  readonly monoMs = (): number => this.mono;
  readonly sleep = async (): Promise<void> => await Promise.resolve();
}

const shortLived = (lane: Lane, n: number, monoMs: number): Event => ({ ...testEvent(lane, n), monoMs, lifeMs: 5_000 });

it('gives up what has outlived its use, and declares exactly that', async () => {
  const clock = new SetClock();
  await using outbox = await openTestOutbox(folder, { clock });
  await outbox.append([
    shortLived('telemetry', 1, 1_000),
    testEvent('telemetry', 2),
    shortLived('telemetry', 3, 1_000),
  ]);
  await outbox.append([shortLived('alarm', 1, 1_000), shortLived('telemetry', 4, 9_000)]);
  clock.mono = 7_000;
  await outbox.append([testEvent('event', 1)]);
  expect(numbers(await waiting(outbox, 'telemetry'))).toEqual([2, 4]);
  expect(numbers(await waiting(outbox, 'alarm'))).toEqual([1]);
  expect((await waiting(outbox, 'audit')).map(({ data }) => data)).toMatchObject([
    { lane: 'telemetry', first: '1', last: '1', count: 1, reason: 'expired' },
    { lane: 'telemetry', first: '3', last: '3', count: 1, reason: 'expired' },
  ]);
});

it('sends nothing that expired while only the uplink read', async () => {
  const clock = new SetClock();
  await using outbox = await openTestOutbox(folder, { clock });
  await outbox.append([shortLived('telemetry', 1, 1_000)]);
  clock.mono = 60_000;
  expect(await waiting(outbox, 'telemetry')).toEqual([]);
});

it('gives up nothing when the wall clock jumps, nor after a boot', async () => {
  const clock = new SetClock();
  {
    await using outbox = await openTestOutbox(folder, { clock });
    await outbox.append([shortLived('telemetry', 1, 1_000)]);
    for (const wall of [0, 4_000_000_000_000, 1_795_330_800_000]) {
      clock.wall = wall;
      await outbox.append([testEvent('event', 1)]);
    }
    expect(numbers(await waiting(outbox, 'telemetry'))).toEqual([1]);
  }
  clock.mono = 3_600_000;
  await using outbox = await openTestOutbox(folder, { clock, host: testHost('boot-2') });
  await outbox.append([testEvent('event', 5)]);
  expect(numbers(await waiting(outbox, 'telemetry'))).toEqual([1]);
});

/** The main thread's end of the writer thread, when it is closed at an awkward moment. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import { openTestOutbox, testEvent } from './test-rig.ts';
import { WaitingWriter } from './waiting-writer.ts';
import { Writer } from './writer.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-writer-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('that is closed while it opens the store again leaves the store to others', async () => {
  const now = { wallMs: 1_795_334_400_000, monoMs: 1, clock: 'synced' } as const;
  const waiting = new WaitingWriter();
  const opened = vi.fn();
  const writer = new Writer({
    options: () => ({
      path: folder,
      device: 'robot-07',
      maxSizeBytes: 64 * 1024 * 1024,
      bootId: 'boot-1',
      machineId: 'machine-1',
      salvageFirstBytes: 0,
      now,
    }),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    events: { opened, down: () => undefined },
    waiting,
  });
  await writer.open();
  expect(opened).toHaveBeenCalledTimes(1);

  await waiting.worker.terminate();
  await vi.waitFor(() => expect(writer.openingMs).toBeGreaterThan(0), { interval: 1 });
  await writer.close();
  expect(writer.isOpen).toBe(false);
  expect(opened).toHaveBeenCalledTimes(1);

  // as soon as it is closed, and later: no thread is left that holds the lock
  for (const n of [1, 2]) {
    await using outbox = await openTestOutbox(folder);
    const [envelope] = await outbox.append([testEvent('event', n)]);
    expect(Number(envelope?.seq)).toBe(n);
  }
});

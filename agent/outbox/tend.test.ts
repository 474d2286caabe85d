/** What the writer does between two Jobs: the log is moved little and often. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type OpenedStore, openStore, storeFile } from './open-store.ts';
import { appendsOf, testEvent } from './test-rig.ts';

const now = { wallMs: 1_795_334_400_000, monoMs: 1, clock: 'synced' } as const;

let folder: string;
let opened: OpenedStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-tend-'));
  const whose = { device: 'robot-07', bootId: 'boot-1', machineId: 'machine-1' };
  const how = { suspect: false, isReopening: false, confirmed: undefined, now };
  const sizes = { maxSizeBytes: 64 * 1024 * 1024, salvageFirstBytes: 0 };
  opened = openStore({ path: folder, ...whose, ...how, ...sizes });
});
afterEach(() => {
  opened.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @returns after how many commits the database file was written for the first time: the log was moved into it */
function commitsUntilMoved(): number {
  const origin = { device: 'robot-07', epoch: opened.opened.epoch, boot: opened.opened.boot };
  const before = statSync(storeFile(folder)).size;
  for (let n = 1; n <= 64; n += 1) {
    const appends = appendsOf([testEvent('event', n, 8_000)], origin);
    opened.store.run({ now, appends, acks: [], peeks: [] });
    opened.store.tend(now.monoMs);
    if (statSync(storeFile(folder)).size > before) return n;
  }
  throw new Error('The log was never moved.');
}

it('moves the log after sixteen small commits', () => {
  expect(commitsUntilMoved()).toBe(16);
});

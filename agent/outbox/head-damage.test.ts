/** Without its first bytes SQLite reads nothing of a database: they are known, so they are put back before a salvage. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-head-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it.each([0, 2, 9, 16, 18, 21, 47, 59])('a flipped byte %i of the database loses no event', async (at) => {
  {
    await using outbox = await openTestOutbox(folder);
    await outbox.append(range(1, 50).map((n) => testEvent('event', n, 500)));
  }
  const file = join(folder, 'outbox.db');
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x5a;
  writeFileSync(file, bytes);
  await using outbox = await openTestOutbox(folder);
  expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, 50));
});

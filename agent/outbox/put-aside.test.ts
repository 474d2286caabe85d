/** A process that ends while it keeps a damaged store aside: the next one goes on where it was. */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
let path: string;
let epoch: string;

/** Killed with its log in use, and damaged: its counters make no sense. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-aside-'));
  path = join(folder, 'store');
  await using outbox = await openTestOutbox(join(folder, 'live'));
  epoch = outbox.epoch;
  for (const n of range(1, 20)) await outbox.append([testEvent('event', n, 200)]);
  cpSync(join(folder, 'live'), path, { recursive: true });
  const log = readFileSync(join(path, 'outbox.db-wal'));
  log.writeUInt8((log[32 + 24 + 8_192 + 4_000] ?? 0) ^ 1, 32 + 24 + 8_192 + 4_000);
  writeFileSync(join(path, 'outbox.db-wal'), log);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(path, name);
const named = (pattern: RegExp): string[] => readdirSync(path).filter((name) => pattern.test(name));

async function allAreThere(): Promise<void> {
  await using outbox = await openTestOutbox(path);
  const events = await waiting(outbox, 'event');
  expect(numbers(events)).toEqual(range(1, 20));
  expect(events.every((event) => event.epoch === epoch)).toBe(true);
  expect(outbox.epoch).not.toBe(epoch);
  expect(outbox.state.event.depth).toBe(20);
  expect(await waiting(outbox, 'audit')).toEqual([]);
  expect(named(/damaged-.*\.db$/)).toHaveLength(1);
  expect(named(/damaged-.*\.db-wal$/)).toHaveLength(1);
  expect(named(/salvaging|new/)).toEqual([]);
}

it('nowhere in between', allAreThere);

it('when the log had its name, and the store had not', async () => {
  renameSync(at('outbox.db-wal'), at('outbox.salvaging-20261127T010203Z.db-wal'));
  await allAreThere();
});

it('when both had their names, and a part of the new store was written', async () => {
  renameSync(at('outbox.db-wal'), at('outbox.salvaging-20261127T010203Z.db-wal'));
  renameSync(at('outbox.db'), at('outbox.salvaging-20261127T010203Z.db'));
  writeFileSync(at('outbox.new.db'), 'a part');
  await allAreThere();
});

it('when the new store was complete, and the old one had not its last name: nothing is taken over twice', async () => {
  await (await openTestOutbox(path))[Symbol.asyncDispose]();
  const [store = ''] = named(/damaged-.*\.db$/);
  renameSync(at(store), at(store.replace('damaged', 'salvaging')));
  await allAreThere();
});

it('and one more is damaged before it is: both are taken over', async () => {
  renameSync(at('outbox.db-wal'), at('outbox.salvaging-20261127T010203Z.db-wal'));
  renameSync(at('outbox.db'), at('outbox.salvaging-20261127T010203Z.db'));
  cpSync(at('outbox.salvaging-20261127T010203Z.db'), at('outbox.salvaging-20261127T010204Z.db'));
  expect(existsSync(at('outbox.db'))).toBe(false);
  await using outbox = await openTestOutbox(path);
  expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, 20));
  expect(named(/damaged-.*\.db$/)).toHaveLength(2);
});

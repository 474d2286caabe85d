/** A damaged store that is too large to be salvaged first: another one serves meanwhile, and nothing is there twice. */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { openSqlite } from '#agent/core/sqlite.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { openStore, storeFile } from './open-store.ts';
import type { Outbox, OutboxOptions } from './outbox.ts';
import type { WriterOptions } from './protocol.ts';
import { storesPutAside } from './put-aside.ts';
import { buildSalvaged, salvagedFile } from './salvage-store.ts';
import { appendsOf, damageCounters, numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
let path: string;
let epoch: string;
let health: Health;

/** 60 events, of which a consumer has 10, and counters that make no sense. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-salvager-'));
  path = join(folder, 'store');
  health = new Health(systemClock);
  {
    await using outbox = await openTestOutbox(path);
    epoch = outbox.epoch;
    for (const n of range(1, 6)) await outbox.append(range(1, 10).map((m) => testEvent('event', 10 * n + m, 500)));
    await outbox.append([testEvent('alarm', 1), testEvent('submission', 1)]);
    await outbox.ack('event', { epoch, seq: 10 });
  }
  await damageCounters(path);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const named = (pattern: RegExp): string[] => readdirSync(path).filter((name) => pattern.test(name));
const codes = (): string[] => health.entries().map(({ code }) => code);

const open = async (options: Partial<OutboxOptions> = {}): Promise<Outbox> =>
  await openTestOutbox(path, { salvageFirstBytes: 0, health, ...options });

async function isTakenOver(): Promise<void> {
  await eventually(() => !codes().includes('outbox-salvaging') && codes().includes('outbox-lost'), 'it is taken over');
}

/** All that should wait: the old epoch's first, then what was appended since. */
async function hasAll(outbox: Outbox, since: readonly number[]): Promise<void> {
  const events = await waiting(outbox, 'event');
  expect(events.map((event) => [event.epoch, Number(event.seq)])).toEqual([
    ...range(11, 60).map((seq) => [epoch, seq]),
    ...since.map((seq) => [outbox.epoch, seq]),
  ]);
  expect(numbers(await waiting(outbox, 'alarm'))).toEqual([1]);
  expect(numbers(await waiting(outbox, 'submission'))).toEqual([1]);
  expect(outbox.state.event.depth).toBe(50 + since.length);
  expect(await waiting(outbox, 'audit')).toEqual([]);
  expect(named(/salvaging|salvaged|new/)).toEqual([]);
}

describe('a large damaged store', () => {
  it('does not keep a new one from serving, and follows in its old epoch', async () => {
    await using outbox = await open();
    expect(outbox.epoch).not.toBe(epoch);
    expect(outbox.state.event.depth).toBe(0);
    expect(codes()).toEqual(['outbox-salvaging']);
    let told = 0;
    outbox.onTakenOver(() => (told += 1));
    const serving = outbox.epoch;
    const envelopes = await outbox.append(range(1, 5).map((n) => testEvent('event', n)));
    expect(envelopes.map(({ seq }) => Number(seq))).toEqual(range(1, 5));
    await outbox.ack('event', { epoch: serving, seq: 2 });
    await isTakenOver();
    expect([outbox.epoch, told]).toEqual([serving, 1]);
    await hasAll(outbox, [3, 4, 5]);
    const [next] = await outbox.append([testEvent('event', 6)]);
    expect(Number(next?.seq)).toBe(6);
    expect(named(/damaged-.*\.db$/)).toHaveLength(1);
  });

  it('is taken over while events are appended as fast as they are taken: each has its number once', async () => {
    await using outbox = await open();
    const seqs: number[] = [];
    while (codes().includes('outbox-salvaging')) {
      for (const { seq } of await outbox.append(range(1, 20).map((n) => testEvent('event', n)))) seqs.push(Number(seq));
    }
    expect(seqs).toEqual(range(1, seqs.length));
    await hasAll(outbox, seqs);
  });

  it('declares what cannot be read, in the epoch that serves', async () => {
    const store = readFileSync(storeFile(path));
    const at = store.indexOf('"i-35"');
    store.writeUInt8(0x58, at + 1);
    writeFileSync(storeFile(path), store);
    await using outbox = await open();
    await outbox.append([testEvent('audit', 1)]);
    await isTakenOver();
    const [own, declared] = await waiting(outbox, 'audit');
    expect([own?.seq, own?.type]).toEqual(['1', 'outpost.camera.start']);
    expect([declared?.epoch, declared?.seq, declared?.data]).toMatchObject([
      outbox.epoch,
      '2',
      { epoch, lane: 'event', first: '25', last: '25', count: 1, reason: 'corrupt' },
    ]);
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(11, 60).filter((seq) => seq !== 25));
  });

  it('waits for the next start when the agent ends before', async () => {
    await (await open())[Symbol.asyncDispose]();
    await using outbox = await open();
    await outbox.append([testEvent('event', 1)]);
    await isTakenOver();
    await hasAll(outbox, [1]);
  });

  it('leaves the number of the boot as it goes on', async () => {
    await using outbox = await open();
    expect(outbox.boot).toBe(2);
  });
});

describe('a process that ends while a salvaged store is adopted', () => {
  const options = (salvageFirstBytes: number): WriterOptions => ({
    path,
    device: 'robot-07',
    bootId: 'boot-1',
    machineId: 'machine-1',
    maxSizeBytes: 64 * 1024 * 1024,
    suspect: false,
    isReopening: false,
    confirmed: undefined,
    now: { wallMs: 1_795_334_400_000, monoMs: 1, clock: 'synced' },
    salvageFirstBytes,
  });
  /** @returns the epoch that has them */
  const append = (...ns: readonly number[]): string => {
    const { store, opened, close } = openStore(options(0));
    const origin = { device: 'robot-07', epoch: opened.epoch, boot: opened.boot };
    const { refused } = store.run({
      now: options(0).now,
      appends: appendsOf(
        ns.map((n) => testEvent('event', n)),
        origin,
      ),
      acks: [],
      peeks: [],
    });
    expect(refused).toEqual([]);
    close();
    return opened.epoch;
  };
  const build = (): void =>
    buildSalvaged(storeFile(path), storesPutAside(storeFile(path)), { keepFreeBytes: 0, release: () => undefined });
  const backup = (): string => join(folder, 'backup');
  const save = (): void => cpSync(path, backup(), { recursive: true });

  let second = '';
  beforeEach(() => {
    second = append(1, 2, 3);
  });

  it('before it began', async () => {
    build();
    await using outbox = await open();
    await hasAll(outbox, [1, 2, 3]);
  });

  it('in the middle of its transaction', async () => {
    build();
    save();
    // as it is when the pages were written and the journal is there still
    const db = openSqlite(salvagedFile(storeFile(path)), { busyMs: 0 });
    db.pragma('journal_mode = DELETE');
    db.pragma('cache_size = 1');
    db.exec("BEGIN; UPDATE outbox SET mono_ms = 77; UPDATE lane SET last_seq = 99; INSERT INTO meta VALUES ('a', 'b')");
    for (const name of [salvagedFile(storeFile(path)), `${salvagedFile(storeFile(path))}-journal`])
      cpSync(name, join(backup(), name.slice(path.length)));
    db.exec('ROLLBACK');
    db.close();
    rmSync(path, { recursive: true });
    renameSync(backup(), path);
    expect(named(/salvaged\.db-journal/)).toHaveLength(1);
    await using outbox = await open();
    await hasAll(outbox, [1, 2, 3]);
  });

  /** Joined, and the file has not its name yet. */
  const joined = (): void => {
    build();
    save();
    openStore(options(0)).close();
    cpSync(storeFile(path), salvagedFile(storeFile(backup())));
    rmSync(path, { recursive: true });
    renameSync(backup(), path);
    expect(named(/salvaging-.*\.db$/)).toHaveLength(1);
  };

  it('after it was joined: nothing is there twice', async () => {
    joined();
    await using outbox = await open();
    await hasAll(outbox, [1, 2, 3]);
  });

  it('after it was joined, and the other store went on: nothing of that is lost', async () => {
    joined();
    const salvaged = readFileSync(salvagedFile(storeFile(path)));
    rmSync(salvagedFile(storeFile(path)));
    append(4);
    writeFileSync(salvagedFile(storeFile(path)), salvaged);
    await using outbox = await open();
    await outbox.append([testEvent('event', 5)]);
    await isTakenOver();
    await hasAll(outbox, [1, 2, 3, 4, 5]);
  });

  it('after it had its name, and the damaged one had not: nothing is there twice', async () => {
    build();
    openStore(options(0)).close();
    const [kept = ''] = named(/damaged-.*\.db$/);
    renameSync(join(path, kept), join(path, kept.replace('damaged', 'salvaging')));
    await using outbox = await open();
    await hasAll(outbox, [1, 2, 3]);
  });

  it('before it began, and another one is damaged: both follow, the older one first', async () => {
    await damageCounters(path);
    await using outbox = await open();
    await outbox.append([testEvent('event', 1)]);
    await isTakenOver();
    const events = await waiting(outbox, 'event');
    expect(events.map((event) => [event.epoch, Number(event.seq)])).toEqual([
      ...range(11, 60).map((seq) => [epoch, seq]),
      ...range(1, 3).map((seq) => [second, seq]),
      [outbox.epoch, 1],
    ]);
    expect(named(/damaged-.*\.db$/)).toHaveLength(2);
  });

  it('after one of two damaged ones had its last name: nothing is there twice', async () => {
    await damageCounters(path);
    append(1);
    build();
    openStore(options(0)).close();
    const kept = named(/damaged-.*\.db$/);
    expect(kept).toHaveLength(2);
    const [, last = ''] = kept.toSorted();
    renameSync(join(path, last), join(path, last.replace('damaged', 'salvaging')));
    await using outbox = await open();
    expect(numbers(await waiting(outbox, 'event'))).toEqual([...range(11, 60), 1, 2, 3, 1]);
    expect(named(/salvaging/)).toEqual([]);
  });

  it('and finds the salvaged store damaged: it is salvaged again', async () => {
    build();
    writeFileSync(salvagedFile(storeFile(path)), Buffer.alloc(50_000, 'garbage!'));
    await using outbox = await open();
    await isTakenOver();
    await hasAll(outbox, [1, 2, 3]);
  });
});

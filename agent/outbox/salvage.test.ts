/** A flipped byte anywhere in a used store: every event is there as it was written, or declared. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqlite } from '#agent/core/sqlite.ts';
import { openStore, storeFile } from './open-store.ts';
import { buildSalvaged } from './salvage-store.ts';
import { pageBytes, seqOf, slotSize } from './schema.ts';
import { openTestOutbox, range, storedTexts, testEvent } from './test-rig.ts';

const options = { device: 'robot-07', maxSizeBytes: 2_000_000, bootId: 'boot-1', machineId: 'machine-1' };
const logHead = 32;
const frameHead = 24;
const frameBytes = frameHead + pageBytes;

type FileName = 'outbox.db' | 'outbox.db-wal' | 'outbox.pid';
interface Flip {
  readonly file: FileName;
  readonly at: number;
  readonly bits: number;
}

/** Numbers as `epoch lane seq`. */
interface Content {
  readonly texts: ReadonlyMap<string, string>;
  /** What will be declared when it is read. */
  readonly damaged: ReadonlySet<string>;
  readonly dropped: readonly { readonly lane: string; readonly first: number; readonly last: number; left: number }[];
}

let folder: string;
let files: ReadonlyMap<FileName | 'outbox.lock', Buffer>;
let before: Content;
let frames: number;
let pages: number;

function contentOf(path: string): Content {
  const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
  try {
    const slots = db.prepare('SELECT slot, epoch, lane FROM lane NOT INDEXED').all() as {
      readonly slot: number;
      readonly epoch: string;
      readonly lane: string;
    }[];
    const names = new Map(slots.map(({ slot, epoch, lane }) => [slot, `${epoch} ${lane}`]));
    const named = storedTexts(db).map(
      (row) => [`${names.get(Math.floor(row.id / slotSize))} ${seqOf(row.id)}`, row] as const,
    );
    const dropped = db.prepare('SELECT slot, first_seq, last_seq, count FROM dropped').raw().all() as number[][];
    return {
      texts: new Map(named.map(([name, { json }]) => [name, json])),
      damaged: new Set(named.filter(([, { isSound }]) => !isSound).map(([name]) => name)),
      dropped: dropped.map(([slot = 0, first = 0, last = 0, left = 0]) => ({
        lane: names.get(slot) ?? '',
        first,
        last,
        left,
      })),
    };
  } finally {
    db.close();
  }
}

/** Used as the device uses it, and copied while its log is in use, as a killed process leaves it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-salvage-'));
  const [live, used] = [join(folder, 'live'), join(folder, 'used')];
  await using outbox = await openTestOutbox(live, { maxSizeBytes: options.maxSizeBytes });
  for (const n of range(1, 30)) {
    const lane = (['event', 'alarm', 'event', 'submission', 'telemetry', 'media'] as const)[n % 6] ?? 'event';
    // one that does not fit a page
    await outbox.append(range(1, 8).map((m) => testEvent(lane, n, n === 13 && m === 3 ? 20_000 : 100 * m)));
  }
  // a consumer has all but some below, and what was given up is in the ledger
  await outbox.ack('event', { epoch: outbox.epoch, seq: 24 }, [[3, 5]]);
  await outbox.setAside('telemetry', { epoch: outbox.epoch, seq: 2 });
  for (const n of range(31, 40)) await outbox.append([testEvent('event', n, 300)]);
  cpSync(live, used, { recursive: true });
  files = new Map(
    (['outbox.db', 'outbox.db-wal', 'outbox.pid', 'outbox.lock'] as const).map((name) => [
      name,
      readFileSync(join(used, name)),
    ]),
  );
  before = contentOf(used);
  pages = (files.get('outbox.db')?.length ?? 0) / pageBytes;
  const log = files.get('outbox.db-wal') ?? Buffer.alloc(0);
  const isOurs = (frame: number): boolean =>
    log.toString('hex', 16, 24) ===
    log.toString('hex', logHead + frame * frameBytes + 8, logHead + frame * frameBytes + 16);
  frames = 0;
  while (isOurs(frames)) frames += 1;
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/**
 * @param isLate salvaged beside a store that serves, as large ones are
 * @returns numbers that are neither there as they were nor declared, and texts that nobody wrote
 */
function openedWith(flips: readonly Flip[], isLate = false): readonly string[] {
  const path = join(folder, 'flipped');
  rmSync(path, { recursive: true, force: true });
  cpSync(join(folder, 'used'), path, { recursive: true });
  for (const [name, bytes] of files) {
    const flipped = Buffer.from(bytes);
    for (const { at, bits } of flips.filter(({ file }) => file === name)) flipped[at] = (flipped[at] ?? 0) ^ bits;
    writeFileSync(join(path, name), flipped);
  }
  rmSync(join(path, 'outbox.db-shm'), { force: true });
  const now = { wallMs: Date.now(), monoMs: performance.now(), clock: 'synced' as const };
  const how = { path, ...options, suspect: false, confirmed: undefined, isReopening: false, now };
  const { opened, close } = openStore({ ...how, salvageFirstBytes: isLate ? 0 : 64_000_000 });
  close();
  if (opened.salvaging) {
    buildSalvaged(storeFile(path), opened.salvaging.stores, { keepFreeBytes: 0, release: () => undefined });
    openStore({ ...how, salvageFirstBytes: 0 }).close();
  }
  const after = contentOf(path);
  return [...before.texts].flatMap(([name, text]) => {
    const found = after.texts.get(name);
    if (found !== undefined) return found === text || after.damaged.has(name) ? [] : [`${name}: ${found}`];
    const [, , seq] = name.split(' ');
    const declared = after.dropped.find(
      ({ lane, first, last, left }) =>
        name.startsWith(`${lane} `) && first <= Number(seq) && Number(seq) <= last && left > 0,
    );
    if (!declared) return [name];
    declared.left -= 1;
    return [];
  });
}

describe('one flipped byte', () => {
  it('in any part of any page of the database loses nothing unsaid', () => {
    expect(pages).toBeGreaterThan(20);
    for (const page of range(0, pages - 1)) {
      for (const at of [0, 3, 6, 8, 13, 4_000, 8_100]) {
        const flip = { file: 'outbox.db', at: page * pageBytes + at, bits: 0x15 } as const;
        expect(openedWith([flip]), `page ${page + 1}, byte ${at}`).toEqual([]);
      }
    }
  });

  it('in the head of the database loses nothing', () => {
    for (const at of range(0, 120)) {
      expect(openedWith([{ file: 'outbox.db', at, bits: 0x15 }]), `byte ${at}`).toEqual([]);
    }
  });

  it('in any part of any frame of the log loses nothing unsaid', () => {
    expect(frames).toBeGreaterThan(8);
    for (const frame of range(0, frames - 1)) {
      for (const at of [3, 7, 9, 13, 18, ...[0, 4, 8, 4_000].map((byte) => frameHead + byte)]) {
        const flip = { file: 'outbox.db-wal', at: logHead + frame * frameBytes + at, bits: 0x15 } as const;
        expect(openedWith([flip]), `frame ${frame}, byte ${at}`).toEqual([]);
      }
    }
  });

  it('in the head of the log, or in who held the store, loses nothing', () => {
    const ofPid = range(0, (files.get('outbox.pid')?.length ?? 0) - 1);
    for (const at of range(0, logHead - 1)) expect(openedWith([{ file: 'outbox.db-wal', at, bits: 1 }])).toEqual([]);
    for (const at of ofPid) expect(openedWith([{ file: 'outbox.pid', at, bits: 1 }])).toEqual([]);
  });
});

it('two flipped bytes anywhere lose nothing unsaid, even with one of them in who held the store', () => {
  const file = fc.constantFrom<FileName>('outbox.db', 'outbox.db-wal', 'outbox.pid');
  const flip = fc.record({
    file,
    // a fraction would lie near 0 most of the time
    where: fc.nat(1_000_000).map((millionths) => millionths / 1_000_000),
    bits: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.tuple(flip, flip), fc.boolean(), (flips, isLate) => {
      const used = { 'outbox.db': pages * pageBytes, 'outbox.db-wal': logHead + frames * frameBytes, 'outbox.pid': 20 };
      const placed = flips.map(({ file: name, where, bits }) => ({
        file: name,
        at: Math.floor(where * (used[name] - 1)),
        bits,
      }));
      expect(openedWith(placed, isLate)).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

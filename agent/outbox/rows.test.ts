/** Rows that one statement writes together: all of them, in their places, and none of a transaction that was undone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sqlite } from '#agent/core/sqlite.ts';
import { encodeEvent, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { writtenEvent } from './row-text.ts';
import { Rows } from './rows.ts';
import { openStoreFile, seqOf } from './schema.ts';
import { Slots } from './slots.ts';
import { range, type StoredText, storedTexts, testEvent } from './test-rig.ts';

const origin = { device: 'robot-07', epoch: 'e'.repeat(32), boot: 3 };
const now = { wallMs: 0, monoMs: 0, clock: 'synced' } as const;

let folder: string;
let db: Sqlite;
let slots: Slots;
let rows: Rows;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-rows-'));
  db = openStoreFile(join(folder, 'outbox.db'));
  slots = new Slots(db, origin);
  slots.begin();
  slots.persist();
  rows = new Rows(db, slots, origin);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

const stored = (): StoredText[] => storedTexts(db);

/** @param offBy how far the number that was expected is from the one that it gets */
function append(lane: Lane, n: number, padding = 0, offBy = 0): number {
  const event = testEvent(lane, n, padding);
  const slot = slots.current(lane);
  const written = writtenEvent(slot.head, encodeEvent(event, origin, 'synced'), slot.last + 1 + offBy);
  return rows.append(slot, written, event.monoMs);
}

const alarmText = (seq: number): string =>
  spliceSequence(
    slots.current('alarm').head.toString(),
    encodeEvent(testEvent('alarm', seq, 10), origin, 'synced'),
    seq,
  );

function transaction(deeds: () => void, end: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): void {
  slots.remember();
  db.exec('BEGIN IMMEDIATE');
  deeds();
  if (end === 'COMMIT') {
    rows.flush();
    slots.persist();
  }
  db.exec(end);
  if (end === 'COMMIT') return;
  rows.forget();
  slots.restore();
}

describe('rows', () => {
  it.each([1, 2, 15, 16, 17, 31, 32, 33, 100])('are all there, each as it was written: %i of them', (count) => {
    transaction(() => {
      for (let n = 1; n <= count; n += 1) append(n % 3 === 0 ? 'alarm' : 'event', n, n % 5 === 0 ? 30_000 : n);
    });
    const texts = stored();
    expect(
      texts
        .map(({ json }) => (JSON.parse(json) as { data: { durationMs: number } }).data.durationMs)
        .toSorted((a, b) => a - b),
    ).toEqual(range(1, count));
    for (const { id, json, isSound } of texts) {
      expect(isSound).toBe(true);
      expect((JSON.parse(json) as { seq: string }).seq).toBe(String(seqOf(id)));
    }
    const bytes = texts.reduce((all, { json }) => all + Buffer.byteLength(json), 0);
    expect(slots.totalBytes).toBe(bytes);
  });

  it.each([1, -1, 90, 123_456_789])('say their own number where another was expected, off by %i', (offBy) => {
    const subject = 'camera/前,"seq":"1';
    const plain = { ...testEvent('event', 1), subject };
    const encoded = encodeEvent(plain, origin, 'synced');
    const slot = slots.current('event');
    const wanted = (seq: number): string => spliceSequence(slot.head.toString(), encoded, seq);
    transaction(() => {
      range(1, 20).forEach(() => void rows.append(slot, writtenEvent(slot.head, encoded, slot.last + 1 + offBy), 1));
      range(1, 3).forEach((n) => append('alarm', n, 10, offBy));
    });
    expect(stored().map(({ json }) => json)).toEqual([
      ...range(1, 3).map((seq) => alarmText(seq)),
      ...range(1, 20).map(wanted),
    ]);
    expect(stored().every(({ isSound }) => isSound)).toBe(true);
  });

  it('of a transaction that is undone come with no later one', () => {
    transaction(() => range(1, 5).forEach((n) => append('event', n)));
    transaction(() => range(6, 26).forEach((n) => append('event', n)), 'ROLLBACK');
    transaction(() => expect([append('event', 27), append('event', 28)]).toEqual([6, 7]));
    expect(stored().map(({ id }) => seqOf(id))).toEqual(range(1, 7));
    expect(stored().at(-2)?.json).toContain('"i-27"');
  });

  it('are found by whoever removes them in the same transaction', () => {
    transaction(() => {
      range(1, 5).forEach((n) => append('event', n));
      rows.acknowledge(slots.current('event'), 4, [[2, 2]]);
    });
    expect(stored().map(({ id }) => seqOf(id))).toEqual([2, 5]);
    transaction(() => {
      append('event', 6);
      rows.setAside(slots.current('event'), 6, now);
      append('event', 7);
      expect(rows.giveUp(['event'], 1e9, 'budget', now)).toBeGreaterThan(0);
    });
    const kept = stored();
    expect(kept.every(({ keep }) => keep === 1)).toBe(true);
    expect(slots.current('event')).toMatchObject({ depth: 0, bytes: 0, last: 7 });
  });
});

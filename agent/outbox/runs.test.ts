/** Rows of several events hold what a plain list of events would hold, whatever is taken out of them, and where. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sqlite } from '#agent/core/sqlite.ts';
import { encodeEvent, spliceSequence } from '#agent/domain/cloudevent.ts';
import { Batches } from './batches.ts';
import { NumberSet } from './number-set.ts';
import { writtenEvent } from './row-text.ts';
import { Rows } from './rows.ts';
import { partsOf } from './runs.ts';
import { openStoreFile, seqOf } from './schema.ts';
import { type Slot, Slots } from './slots.ts';
import { range, storedTexts, testEvent } from './test-rig.ts';

const origin = { device: 'robot-07', epoch: 'e'.repeat(32), boot: 3 };
const now = { wallMs: 0, monoMs: 0, clock: 'synced' } as const;

let folder: string;
let stores = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-runs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A store, and beside it the list of what should wait in it. */
class Rig implements Disposable {
  readonly db: Sqlite = openStoreFile(join(folder, `${(stores += 1)}.db`));
  readonly slots = new Slots(this.db, origin);
  readonly lanes = ['event', 'telemetry', 'alarm'] as const;
  readonly waiting = new Map<Slot, Map<number, string>>();
  readonly #rows: Rows;
  readonly #batches: Batches;
  #made = 0;

  constructor() {
    this.slots.begin();
    this.slots.persist();
    this.#rows = new Rows(this.db, this.slots, origin);
    this.#batches = new Batches(this.db, this.slots);
    for (const lane of this.lanes) this.waiting.set(this.slots.current(lane), new Map());
  }

  slot(index: number): Slot {
    return this.slots.current(this.lanes[index % this.lanes.length] ?? 'event');
  }

  /** @param apartMs between the times of two events */
  append(slot: Slot, paddings: readonly number[], apartMs: number): void {
    for (const padding of paddings) {
      const event = testEvent(slot.lane, (this.#made += 1), padding);
      const encoded = encodeEvent(event, origin, 'synced');
      const seq = slot.last + 1;
      this.waiting.get(slot)?.set(seq, spliceSequence(slot.head.toString('utf8'), encoded, seq));
      this.#rows.append(slot, writtenEvent(slot.head, encoded, seq), this.#made * apartMs);
    }
  }

  acknowledge(slot: Slot, upto: number, missing: readonly (readonly [number, number])[]): void {
    this.#rows.acknowledge(slot, upto, missing);
    const stays = (seq: number): boolean => missing.some(([first, last]) => first <= seq && seq <= last);
    for (const seq of this.numbers(slot)) if (seq <= upto && !stays(seq)) this.waiting.get(slot)?.delete(seq);
  }

  setAside(slot: Slot, seq: number): void {
    this.#rows.setAside(slot, seq, now);
    this.waiting.get(slot)?.delete(seq);
  }

  giveUp(slot: Slot, goalBytes: number): void {
    let freed = 0;
    for (const [seq, text] of this.waiting.get(slot) ?? []) {
      if (freed >= goalBytes) break;
      freed += Buffer.byteLength(text);
      this.waiting.get(slot)?.delete(seq);
    }
    expect(this.#rows.giveUp([slot.lane], goalBytes, 'budget', now)).toBe(freed);
  }

  peek(slot: Slot, after: number, maxEvents: number, maxBytes: number): void {
    const behind = this.numbers(slot).filter((seq) => seq > after);
    const place = { epoch: origin.epoch, seq: after };
    const batch = this.#batches.peek({ lane: slot.lane, after: place, maxEvents, maxBytes, count: 1 });
    if (!batch) {
      expect(behind).toEqual([]);
      return;
    }
    const numbers = behind.slice(0, batch.count);
    const texts = numbers.map((seq) => this.waiting.get(slot)?.get(seq));
    const text = Buffer.from(batch.bytes).toString('utf8');
    expect(text).toBe(texts.length === 1 ? texts[0] : `[${texts.join(',')}]`);
    expect([batch.first, batch.last]).toEqual([numbers[0], numbers.at(-1)]);
    expect(batch.count).toBeLessThanOrEqual(maxEvents);
    if (batch.count > 1) expect(batch.bytes.length).toBeLessThanOrEqual(maxBytes);
    if (behind.length > batch.count) {
      expect(batch.more).toBe(true);
      const next = Buffer.byteLength(this.waiting.get(slot)?.get(behind[batch.count] ?? 0) ?? '');
      const isHalfFull = 2 * batch.count >= maxEvents || 2 * batch.bytes.length >= maxBytes;
      expect(isHalfFull || batch.bytes.length + next + 3 > maxBytes).toBe(true);
    }
  }

  transact(deed: () => void): void {
    this.slots.remember();
    this.db.exec('BEGIN IMMEDIATE');
    deed();
    this.#rows.flush();
    this.slots.persist();
    this.db.exec('COMMIT');
  }

  numbers(slot: Slot): number[] {
    return [...(this.waiting.get(slot)?.keys() ?? [])];
  }

  check(): void {
    const stored = storedTexts(this.db).filter(({ keep }) => keep === 0);
    expect(stored.every(({ isSound }) => isSound)).toBe(true);
    const slots = [...this.waiting].toSorted(([one], [other]) => one.slot - other.slot);
    expect(stored.map(({ id, json }) => [seqOf(id), json])).toEqual(slots.flatMap(([, texts]) => [...texts]));
    for (const [slot, texts] of slots) {
      const bytes = [...texts.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      expect([slot.depth, slot.bytes, slot.first]).toEqual([texts.size, bytes, this.numbers(slot)[0] ?? 0]);
    }
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

const lane = fc.nat(2);
/** Where in a lane, as a part of all numbers that it gave. */
const place = fc.nat(1_050).map((thousandths) => thousandths / 1_000);
const padding = fc.oneof({ weight: 8, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(40_000) });
const step = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    lane,
    paddings: fc.array(padding, { minLength: 1, maxLength: 80, size: 'max' }),
    apartMs: fc.constantFrom(0, 1, 100, 1_001),
  }),
  fc.record({
    kind: fc.constant('ack' as const),
    lane,
    place,
    missing: fc.array(fc.tuple(place, fc.nat(6)), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('setAside' as const), lane, place }),
  fc.record({ kind: fc.constant('giveUp' as const), lane, goalBytes: fc.nat(60_000) }),
  fc.record({
    kind: fc.constant('peek' as const),
    lane,
    place,
    maxEvents: fc.integer({ min: 1, max: 70 }),
    maxBytes: fc.integer({ min: 1, max: 70_000 }),
  }),
);

describe('rows of several events', () => {
  it('hold what was appended, less what was taken out, and batches give it in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 12, size: 'max' }),
        (transactions) => {
          using rig = new Rig();
          for (const steps of transactions) {
            rig.transact(() => {
              for (const each of steps) {
                const slot = rig.slot(each.lane);
                const at = (part: number): number => Math.round(part * slot.last);
                if (each.kind === 'append') rig.append(slot, each.paddings, each.apartMs);
                if (each.kind === 'setAside') rig.setAside(slot, at(each.place));
                if (each.kind === 'giveUp') rig.giveUp(slot, each.goalBytes);
                if (each.kind === 'ack') {
                  const missing = each.missing.map(([part, more]) => [at(part), at(part) + more] as const);
                  rig.acknowledge(slot, Math.min(slot.last, at(each.place)), missing);
                }
              }
            });
            rig.check();
            for (const each of steps) {
              const slot = rig.slot(each.lane);
              if (each.kind === 'peek')
                rig.peek(slot, Math.round(each.place * slot.last), each.maxEvents, each.maxBytes);
            }
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it('are few where many come at once, and one for each alarm', () => {
    using rig = new Rig();
    const count = (slot: Slot): unknown =>
      rig.db
        .prepare('SELECT count(*) FROM outbox WHERE id BETWEEN ? AND ?')
        .pluck()
        .get(slot.slot * 2 ** 40, (slot.slot + 1) * 2 ** 40 - 1);
    rig.transact(() => {
      for (let n = 0; n < 64; n += 1) for (const index of [0, 2]) rig.append(rig.slot(index), [10], 0);
    });
    rig.check();
    expect(count(rig.slot(0))).toBe(2);
    expect(count(rig.slot(2))).toBe(64);
    // the time of the first would not be that of the others
    rig.transact(() => rig.append(rig.slot(1), Array<number>(10).fill(10), 600));
    expect(count(rig.slot(1))).toBe(5);
  });

  it('are what the view for people shows, event by event', () => {
    using rig = new Rig();
    rig.transact(() => rig.append(rig.slot(0), [1, 2, 3, 4, 5], 0));
    const shown = rig.db.prepare('SELECT epoch, lane, seq, json FROM waiting ORDER BY seq').all();
    expect(shown).toEqual(
      [...(rig.waiting.get(rig.slot(0)) ?? [])].map(([seq, json]) => ({
        epoch: origin.epoch,
        lane: 'event',
        seq,
        json,
      })),
    );
  });

  it('are removed in whole without their texts being written again', () => {
    using rig = new Rig();
    rig.transact(() => rig.append(rig.slot(0), Array<number>(512).fill(900), 0));
    rig.db.pragma('wal_checkpoint(TRUNCATE)');
    rig.transact(() => rig.acknowledge(rig.slot(0), 512, []));
    const [log] = rig.db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[];
    const [pages] = [Number(rig.db.pragma('page_count', { simple: true }))];
    expect(pages).toBeGreaterThan(60);
    expect(log?.log).toBeLessThan(pages / 2);
  });
});

it.each([
  ['nothing', Buffer.alloc(0)],
  ['half a part', Buffer.alloc(12)],
  ['parts longer than the text', Buffer.alloc(16, 1)],
])('a row whose parts are %s cannot be taken apart', (_title, parts) => {
  expect(partsOf({ sum: 1, parts }, 100)).toBeUndefined();
});

describe('a set of numbers', () => {
  it('says what is in it, once, and what is not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 8_180, max: 8_200 }), fc.nat(40_000))),
        fc.tuple(fc.nat(100), fc.nat(40_000)),
        (numbers, [first, last]) => {
          const set = new NumberSet();
          const model = new Set<number>();
          for (const number of numbers) {
            expect(set.add(number)).toBe(!model.has(number));
            model.add(number);
          }
          expect(set.size).toBe(model.size);
          const missing = first > last ? [] : range(first, last).filter((number) => !model.has(number));
          expect(set.gaps(first, last).flatMap(([from, to]) => range(from, to))).toEqual(missing);
        },
      ),
      { numRuns: 60 },
    );
  });
});

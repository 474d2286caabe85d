/** The rows of the waiting events: written, removed and given up inside the transaction of the caller. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { type Origin, encodeEvent } from '#agent/domain/cloudevent.ts';
import type { EventData } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { isProtected } from './budget.ts';
import type { DamagedEvents } from './damaged-rows.ts';
import { firstNameIn, namesIn } from './names.ts';
import type { Moment } from './protocol.ts';
import { RowTexts, type WrittenEvent, writtenEvent } from './row-text.ts';
import { bytesSql, countSql, OpenRun, type WholeRow, wholeRowSql } from './runs.ts';
import { idOf, seqOf, slotSize } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { Splitter } from './split.ts';
import { rowSum } from './sums.ts';

type Reason = EventData<'dropped'>['reason'];

export interface RowOptions {
  /** 1: tells of a loss, and is never given up. */
  readonly keep?: 0 | 1;
  readonly lifeMs?: number | undefined;
}

const noText = Buffer.alloc(0);

/** Declarations for one giving-up. */
const mostRuns = 32;

export class Rows {
  readonly #slots: Slots;
  readonly #origin: Origin;
  readonly #texts = new RowTexts();
  readonly #split: Splitter;
  readonly #insert: Statement<[number, number, number | null, number, Uint8Array, number, Uint8Array | null]>;
  /** Rows that are not written yet, one in a lane at most. */
  readonly #runs = new Map<Slot, OpenRun>();
  readonly #size: Statement<[number, number], { count: number; bytes: number }>;
  readonly #expired: Statement<[number, number], RowSize>;
  readonly #remove: Statement<[number, number]>;
  readonly #oldest: Statement<[number, number], RowSize>;
  readonly #giveUp: Statement<[number, number]>;
  readonly #next: Statement<[number, number], number>;
  readonly #holding: Statement<[number], WholeRow>;
  readonly #move: Statement<[number, number]>;
  readonly #ledger: Statement<[number, number, number, number, number, string, number]>;

  constructor(db: Sqlite, slots: Slots, origin: Origin) {
    this.#slots = slots;
    this.#origin = origin;
    this.#split = new Splitter(db);
    this.#insert = db.prepare(`INSERT INTO outbox VALUES (?, ${origin.boot}, ?, ?, ?, CAST(? AS TEXT), ?, ?)`);
    const size = `id, ${countSql} AS count, ${bytesSql} AS bytes`;
    this.#expired = db.prepare<[number, number], RowSize>(
      `SELECT ${size} FROM outbox
       WHERE expires_mono_ms IS NOT NULL AND expires_mono_ms <= ? AND boot = ? AND keep = 0 ORDER BY id LIMIT 4096`,
    );
    this.#size = db.prepare<[number, number], { count: number; bytes: number }>(
      `SELECT coalesce(sum(${countSql}), 0) AS count, coalesce(sum(${bytesSql}), 0) AS bytes
       FROM outbox WHERE id BETWEEN ? AND ?`,
    );
    this.#remove = db.prepare<[number, number]>('DELETE FROM outbox WHERE id BETWEEN ? AND ?');
    this.#oldest = db.prepare<[number, number], RowSize>(
      `SELECT ${size} FROM outbox WHERE id BETWEEN ? AND ? AND keep = 0 ORDER BY id LIMIT 4096`,
    );
    this.#giveUp = db.prepare<[number, number]>('DELETE FROM outbox WHERE id BETWEEN ? AND ? AND keep = 0');
    this.#next = db
      .prepare<[number, number], number>('SELECT id FROM outbox WHERE id > ? AND id < ? ORDER BY id LIMIT 1')
      .pluck();
    this.#holding = db.prepare<[number], WholeRow>(`${wholeRowSql} WHERE id <= ? ORDER BY id DESC LIMIT 1`);
    this.#move = db.prepare<[number, number]>('UPDATE OR IGNORE outbox SET id = ? WHERE id = ?');
    this.#ledger = db.prepare<[number, number, number, number, number, string, number]>(
      'INSERT INTO dropped (slot, first_seq, last_seq, count, bytes, reason, declared_seq) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
  }

  /** Written are they after `flush`. @returns the event's sequence number */
  append(slot: Slot, event: WrittenEvent, monoMs: number, { keep = 0, lifeMs }: RowOptions = {}): number {
    const seq = slot.last + 1;
    const json = this.#texts.of(slot.head, event, seq);
    const at = Math.max(0, Math.round(monoMs));
    const id = idOf(slot.slot, seq);
    const expires = lifeMs === undefined || isProtected(slot.lane) ? null : at + Math.max(0, Math.round(lifeMs));
    if (keep === 0 && expires === null) this.#collect(slot, id, at, json);
    else {
      const sum = rowSum({ id, boot: this.#origin.boot, monoMs: at, keep }, json);
      this.#insert.run(id, at, expires, keep, json, sum, null);
    }
    this.#texts.clear();
    slot.last = seq;
    slot.depth += 1;
    slot.bytes += json.length;
    if (slot.depth === 1) {
      slot.first = seq;
      slot.oldestMonoMs = at;
    }
    this.#slots.touch(slot);
    return seq;
  }

  /** Alarms leave one by one, so each has a row. */
  #collect(slot: Slot, id: number, at: number, json: Uint8Array): void {
    const run = this.#runs.get(slot) ?? new OpenRun(this.#origin.boot);
    this.#runs.set(slot, run);
    if (slot.lane === 'alarm' || !run.fits(id, at, json.length)) this.#write(run);
    run.add(id, at, json);
  }

  #write(run: OpenRun): void {
    if (run.isEmpty) return;
    const { id, monoMs, json, sum, parts } = run.take();
    this.#insert.run(id, monoMs, null, 0, json, sum, parts);
  }

  /** Writes the rows that wait: before they are looked for, and before the end of the transaction. */
  flush(): void {
    for (const run of this.#runs.values()) this.#write(run);
  }

  /** The transaction that they belong to was rolled back. */
  forget(): void {
    for (const run of this.#runs.values()) run.forget();
    this.#texts.clear();
  }

  /** Removes what was acknowledged; ranges of `missing` stay. An acknowledgement never goes back, nor past the end. */
  acknowledge(slot: Slot, upto: number, missing: readonly (readonly [number, number])[]): void {
    this.flush();
    const last = Math.min(upto, slot.last);
    let from = 1;
    for (const [first, end] of [...missing].sort((a, b) => a[0] - b[0])) {
      this.#removeRange(slot, from, Math.min(first - 1, last));
      from = Math.max(from, end + 1);
    }
    this.#removeRange(slot, from, last);
    slot.acked = Math.max(slot.acked, last);
    this.#slots.touch(slot);
    this.#slots.refresh(slot);
  }

  /** Gives one event up, and declares it. */
  setAside(slot: Slot, seq: number, now: Moment): void {
    this.flush();
    this.#part(slot, seq, seq);
    const id = idOf(slot.slot, seq);
    const { bytes } = this.#size.get(id, id) ?? { bytes: 0 };
    if (this.#giveUp.run(id, id).changes === 0) return;
    slot.depth -= 1;
    slot.bytes -= bytes;
    this.#slots.touch(slot);
    this.#slots.refresh(slot);
    this.declare(slot, { first: seq, last: seq, count: 1, bytes }, 'poison', now);
  }

  /** Gives up oldest events of these lanes until `goalBytes` are free, and declares it. @returns bytes freed */
  giveUp(from: readonly Lane[], goalBytes: number, reason: Reason, now: Moment): number {
    this.flush();
    let freed = 0;
    for (const slot of from.flatMap((lane) => this.#slots.of(lane))) {
      if (freed >= goalBytes) break;
      freed += this.#giveUpIn(slot, goalBytes - freed, reason, now);
    }
    return freed;
  }

  /** Gives up what has outlived its use in this boot, and declares it. @returns bytes freed */
  expire(now: Moment): number {
    this.flush();
    let freed = 0;
    for (;;) {
      const rows = this.#expired.all(Math.floor(now.monoMs), this.#origin.boot);
      for (const run of runsOf(rows)) freed += this.#discard(run, 'expired', now);
      if (rows.length === 0) return freed;
    }
  }

  /**
   * Rows that are as they were written, save that their key is not the number that they say: they get their place again.
   *
   * @returns what is damaged in another way
   */
  mend(damaged: readonly DamagedEvents[]): readonly DamagedEvents[] {
    this.flush();
    const held = damaged.map((event) => ({ event, row: this.#holding.get(event.id) }));
    const rows = new Map(held.flatMap(({ row }) => (row ? [[row.id, row] as const] : [])));
    const mended = new Set([...rows.values()].filter((row) => this.#putInPlace(row)).map(({ id }) => id));
    return held.flatMap(({ event, row }) => (row && mended.has(row.id) ? [] : [event]));
  }

  #putInPlace(row: WholeRow): boolean {
    const said = firstNameIn(row.json);
    const slot = said && this.#slots.find(said.epoch, said.lane);
    if (!slot) return false;
    const id = idOf(slot.slot, said.seq);
    const isSound = id !== row.id && row.sum === rowSum({ ...row, id }, row.parts ?? row.json);
    if (!isSound || this.#move.run(id, row.id).changes === 0) return false;
    for (const each of [slot, this.#slots.at(Math.floor(row.id / slotSize))]) {
      if (!each) continue;
      this.#slots.touch(each);
      this.#slots.refresh(each);
    }
    return true;
  }

  /** Gives up what is not as it was written, and declares it. @returns bytes */
  discardDamaged(damaged: readonly DamagedEvents[], now: Moment): number {
    this.flush();
    const events = damaged.filter(({ isRow }) => !isRow).map((event) => ({ ...event, count: 1 }));
    for (const run of runsOf(events)) {
      const slot = this.#slots.at(Math.floor(run.first / slotSize));
      if (slot) this.#part(slot, seqOf(run.first), seqOf(run.last));
      this.#discard(run, 'corrupt', now);
    }
    for (const row of damaged.filter(({ isRow }) => isRow)) {
      const { id, count, bytes } = this.#allOf(row);
      this.#discard({ first: id, last: id + count - 1, count, bytes }, 'corrupt', now);
      this.#recount(this.#slots.at(Math.floor(id / slotSize)));
    }
    return damaged.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A row that does not say how many it holds: as many as its text tells of, where no other row begins. */
  #allOf({ id, bytes }: DamagedEvents): RowSize {
    const next = this.#next.get(id, idOf(Math.floor(id / slotSize) + 1, 0)) ?? Infinity;
    const told = namesIn(this.#holding.get(id)?.json ?? noText, id).map(({ seq }) => seq - seqOf(id) + 1);
    return { id, count: Math.max(1, Math.min(next - id, Math.max(0, ...told))), bytes };
  }

  #recount(slot: Slot | undefined): void {
    if (!slot) return;
    const { count, bytes } = this.#size.get(idOf(slot.slot, 1), idOf(slot.slot, slot.last)) ?? { count: 0, bytes: 0 };
    [slot.depth, slot.bytes] = [count, bytes];
    this.#slots.touch(slot);
    this.#slots.refresh(slot);
  }

  /** No row reaches over an end of this range. */
  #part(slot: Slot, first: number, last: number): void {
    this.#split.at(slot, first);
    this.#split.at(slot, last + 1);
  }

  #discard({ first, last, count, bytes }: Run, reason: Reason, now: Moment): number {
    this.#remove.run(first, last);
    const slot = this.#slots.at(Math.floor(first / slotSize));
    if (!slot) return 0;
    slot.depth -= count;
    slot.bytes -= bytes;
    this.#slots.touch(slot);
    this.#slots.refresh(slot);
    this.declare(slot, { first: seqOf(first), last: seqOf(last), count, bytes }, reason, now);
    return bytes;
  }

  /** Writes into the ledger, and into lane `audit`, that these numbers will never come. */
  declare(
    slot: Slot,
    range: { first: number; last: number; count: number; bytes: number },
    reason: Reason,
    now: Moment,
  ) {
    const data: EventData<'dropped'> = {
      ...(slot.epoch === this.#origin.epoch ? {} : { epoch: slot.epoch }),
      lane: slot.lane,
      first: String(range.first),
      last: String(range.last),
      count: range.count,
      bytes: range.bytes,
      reason,
    };
    const { wallMs, monoMs } = now;
    const event = { kind: 'dropped', lane: 'audit', subject: `outbox/${slot.lane}`, wallMs, monoMs, data } as const;
    const audit = this.#slots.current('audit');
    const written = writtenEvent(audit.head, encodeEvent(event, this.#origin, now.clock), audit.last + 1);
    const declared = this.append(audit, written, monoMs, { keep: 1 });
    this.#ledger.run(slot.slot, range.first, range.last, range.count, range.bytes, reason, declared);
  }

  #removeRange(slot: Slot, first: number, last: number): void {
    if (last < first || slot.depth === 0) return;
    const [from, to] = [idOf(slot.slot, first), idOf(slot.slot, last)];
    this.#part(slot, first, last);
    const { count, bytes } = this.#size.get(from, to) ?? { count: 0, bytes: 0 };
    if (count === 0) return;
    this.#remove.run(from, to);
    slot.depth -= count;
    slot.bytes -= bytes;
  }

  #giveUpIn(slot: Slot, goalBytes: number, reason: Reason, now: Moment): number {
    let freed = 0;
    while (freed < goalBytes && slot.depth > 0) {
      const rows = this.#enough(this.#oldest.all(idOf(slot.slot, 1), idOf(slot.slot + 1, 0)), goalBytes - freed);
      if (rows.length === 0) break;
      for (const run of fewRuns(rows)) {
        this.#giveUp.run(run.first, run.last);
        slot.depth -= run.count;
        slot.bytes -= run.bytes;
        const [first, last] = [seqOf(run.first), seqOf(run.last)];
        this.declare(slot, { first, last, count: run.count, bytes: run.bytes }, reason, now);
        freed += run.bytes;
      }
      this.#slots.touch(slot);
      this.#slots.refresh(slot);
    }
    return freed;
  }

  /** The first of these rows that have so many bytes; the last of them is parted when it has more. */
  #enough(rows: readonly RowSize[], goalBytes: number): RowSize[] {
    const enough: RowSize[] = [];
    let bytes = 0;
    for (const row of rows) {
      const missing = goalBytes - bytes;
      if (missing <= 0) break;
      const taken = row.count > 1 && row.bytes > missing ? { ...row, ...this.#split.first(row.id, missing) } : row;
      enough.push(taken);
      bytes += taken.bytes;
    }
    return enough;
  }
}

/** A row: its first number, how many events it holds, and the bytes of their texts. */
interface RowSize {
  readonly id: number;
  readonly count: number;
  readonly bytes: number;
}

interface Run {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: number;
}

/** Neighbours together: a declaration may only name what is gone. */
function runsOf(rows: readonly RowSize[]): Run[] {
  const runs: Run[] = [];
  for (const { id, count, bytes } of rows) {
    const run = runs.at(-1);
    const last = id + count - 1;
    if (run && run.last + 1 === id)
      runs.splice(-1, 1, { ...run, last, count: run.count + count, bytes: run.bytes + bytes });
    else runs.push({ first: id, last, count, bytes });
  }
  return runs;
}

/** Where the rows are full of holes, one declaration over all is shorter than what it gives up. */
function fewRuns(rows: readonly RowSize[]): Run[] {
  const runs = runsOf(rows);
  const [first, last] = [runs[0], runs.at(-1)];
  if (runs.length <= mostRuns || !first || !last) return runs;
  const sum = (of: (run: Run) => number): number => runs.reduce((all, run) => all + of(run), 0);
  return [{ first: first.first, last: last.last, count: sum(({ count }) => count), bytes: sum(({ bytes }) => bytes) }];
}

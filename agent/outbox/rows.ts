/** The rows of the waiting events: written, removed and given up inside the transaction of the caller. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { type Origin, encodeEvent } from '#agent/domain/cloudevent.ts';
import type { EventData } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { isProtected } from './budget.ts';
import type { Moment } from './protocol.ts';
import { RowTexts, type WrittenEvent, writtenEvent } from './row-text.ts';
import { idOf, seqOf, slotSize } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { rowSum } from './sums.ts';

type Reason = EventData<'dropped'>['reason'];

type PlainValue = number | Uint8Array;
/** id, time, text, checksum */
const plainValues = 4;

export interface RowOptions {
  /** 1: tells of a loss, and is never given up. */
  readonly keep?: 0 | 1;
  readonly lifeMs?: number | undefined;
}

/** Rows that one statement writes: what a statement costs is shared. */
const rowsAtOnce = 16;

/** Declarations for one giving-up. */
const mostRuns = 32;

export class Rows {
  readonly #slots: Slots;
  readonly #origin: Origin;
  readonly #texts = new RowTexts();
  readonly #insert: Statement<[number, number, number, number | null, number, Uint8Array, number]>;
  readonly #insertPlain: Statement<[readonly PlainValue[]]>;
  readonly #insertMany: Statement<[readonly PlainValue[]]>;
  /** Rows that are not written yet, value by value. */
  readonly #waiting: PlainValue[] = [];
  readonly #size: Statement<[number, number], { count: number; bytes: number }>;
  readonly #expired: Statement<[number, number], { id: number; bytes: number }>;
  readonly #remove: Statement<[number, number]>;
  readonly #oldest: Statement<[number, number], { id: number; bytes: number }>;
  readonly #giveUp: Statement<[number, number]>;
  readonly #ledger: Statement<[number, number, number, number, number, string, number]>;

  constructor(db: Sqlite, slots: Slots, origin: Origin) {
    this.#slots = slots;
    this.#origin = origin;
    this.#insert = db.prepare<[number, number, number, number | null, number, Uint8Array, number]>(
      'INSERT INTO outbox VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), ?)',
    );
    // neither kept nor expiring, and of this boot, as most are
    const plain = `(?, ${origin.boot}, ?, NULL, 0, CAST(? AS TEXT), ?)`;
    this.#insertPlain = db.prepare<[readonly PlainValue[]]>(`INSERT INTO outbox VALUES ${plain}`);
    this.#insertMany = db.prepare<[readonly PlainValue[]]>(
      `INSERT INTO outbox VALUES ${Array.from({ length: rowsAtOnce }, () => plain).join(', ')}`,
    );
    this.#expired = db.prepare<[number, number], { id: number; bytes: number }>(
      `SELECT id, octet_length(json) AS bytes FROM outbox
       WHERE expires_mono_ms IS NOT NULL AND expires_mono_ms <= ? AND boot = ? AND keep = 0 ORDER BY id LIMIT 4096`,
    );
    this.#size = db.prepare<[number, number], { count: number; bytes: number }>(
      'SELECT count(*) AS count, coalesce(sum(octet_length(json)), 0) AS bytes FROM outbox WHERE id BETWEEN ? AND ?',
    );
    this.#remove = db.prepare<[number, number]>('DELETE FROM outbox WHERE id BETWEEN ? AND ?');
    this.#oldest = db.prepare<[number, number], { id: number; bytes: number }>(
      'SELECT id, octet_length(json) AS bytes FROM outbox WHERE id BETWEEN ? AND ? AND keep = 0 ORDER BY id LIMIT 4096',
    );
    this.#giveUp = db.prepare<[number, number]>('DELETE FROM outbox WHERE id BETWEEN ? AND ? AND keep = 0');
    this.#ledger = db.prepare<[number, number, number, number, number, string, number]>(
      'INSERT INTO dropped (slot, first_seq, last_seq, count, bytes, reason, declared_seq) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
  }

  /** Written are they after `flush`. @returns the event's sequence number */
  append(slot: Slot, event: WrittenEvent, monoMs: number, { keep = 0, lifeMs }: RowOptions = {}): number {
    const seq = slot.last + 1;
    const json = this.#texts.of(slot.head, event, seq);
    const at = Math.max(0, Math.round(monoMs));
    const facts = { id: idOf(slot.slot, seq), boot: this.#origin.boot, monoMs: at, keep };
    const expires = lifeMs === undefined || isProtected(slot.lane) ? null : at + Math.max(0, Math.round(lifeMs));
    const sum = rowSum(facts, json);
    if (keep === 0 && expires === null) this.#write(facts.id, at, json, sum);
    else this.#insert.run(facts.id, facts.boot, at, expires, keep, json, sum);
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

  #write(id: number, at: number, json: Uint8Array, sum: number): void {
    this.#waiting.push(id, at, json, sum);
    if (this.#waiting.length < rowsAtOnce * plainValues) return;
    this.#insertMany.run(this.#waiting);
    this.forget();
  }

  /** Writes the rows that wait: before they are looked for, and before the end of the transaction. */
  flush(): void {
    for (let at = 0; at < this.#waiting.length; at += plainValues)
      this.#insertPlain.run(this.#waiting.slice(at, at + plainValues));
    this.forget();
  }

  /** The transaction that they belong to was rolled back. */
  forget(): void {
    this.#waiting.length = 0;
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

  /** Gives up rows whose text is not what was written, and declares it. */
  discardDamaged(rows: readonly { readonly id: number; readonly bytes: number }[], now: Moment): void {
    this.flush();
    for (const run of runsOf(rows)) this.#discard(run, 'corrupt', now);
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
    const { count, bytes } = this.#size.get(from, to) ?? { count: 0, bytes: 0 };
    if (count === 0) return;
    this.#remove.run(from, to);
    slot.depth -= count;
    slot.bytes -= bytes;
  }

  #giveUpIn(slot: Slot, goalBytes: number, reason: Reason, now: Moment): number {
    let freed = 0;
    while (freed < goalBytes && slot.depth > 0) {
      const rows = this.#oldest.all(idOf(slot.slot, 1), idOf(slot.slot + 1, 0));
      let bytes = 0;
      let count = 0;
      for (const row of rows) {
        if (freed + bytes >= goalBytes) break;
        bytes += row.bytes;
        count += 1;
      }
      if (count === 0) break;
      for (const run of fewRuns(rows.slice(0, count))) {
        this.#giveUp.run(run.first, run.last);
        slot.depth -= run.count;
        slot.bytes -= run.bytes;
        const [first, last] = [seqOf(run.first), seqOf(run.last)];
        this.declare(slot, { first, last, count: run.count, bytes: run.bytes }, reason, now);
      }
      freed += bytes;
      this.#slots.touch(slot);
      this.#slots.refresh(slot);
    }
    return freed;
  }
}

interface Run {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: number;
}

/** Neighbours together: a declaration may only name what is gone. */
function runsOf(rows: readonly { readonly id: number; readonly bytes: number }[]): Run[] {
  const runs: Run[] = [];
  for (const { id, bytes } of rows) {
    const run = runs.at(-1);
    if (run && run.last + 1 === id)
      runs.splice(-1, 1, { ...run, last: id, count: run.count + 1, bytes: run.bytes + bytes });
    else runs.push({ first: id, last: id, count: 1, bytes });
  }
  return runs;
}

/** Where the rows are full of holes, one declaration over all is shorter than what it gives up. */
function fewRuns(rows: readonly { readonly id: number; readonly bytes: number }[]): Run[] {
  const runs = runsOf(rows);
  const [first, last] = [rows[0], rows.at(-1)];
  if (runs.length <= mostRuns || !first || !last) return runs;
  return [{ first: first.id, last: last.id, count: rows.length, bytes: rows.reduce((sum, row) => sum + row.bytes, 0) }];
}

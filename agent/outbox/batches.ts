/**
 * Reads waiting events as one publish: the stored texts joined by SQLite, never parsed again.
 *
 *   one event -> {…}        several -> [{…},{…}]
 */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import type { PeekedBatch, PeekRequest } from './protocol.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { type RowFacts, rowSum } from './sums.ts';

interface JoinedRow {
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly joined: Buffer | null;
}

interface SizeRow extends RowFacts {
  readonly bytes: number;
  /** null in rows of version 1. */
  readonly sum: number | null;
}

/** Rows whose text is not what was written. */
export class DamagedRows extends Error {
  readonly rows: readonly { readonly id: number; readonly bytes: number }[];

  constructor(rows: DamagedRows['rows']) {
    super(`${rows.length} rows are damaged.`);
    this.rows = rows;
  }
}

export class Batches {
  readonly #slots: Slots;
  readonly #joinRange: Statement<[number, number], JoinedRow>;
  readonly #one: Statement<[number], { json: Buffer }>;
  readonly #sizes: Statement<[number, number, number], SizeRow>;

  constructor(db: Sqlite, slots: Slots) {
    this.#slots = slots;
    this.#joinRange = db.prepare<[number, number], JoinedRow>(`
      SELECT count(*) AS count, min(id) AS first, max(id) AS last,
        CAST('[' || group_concat(json, ',') || ']' AS BLOB) AS joined
      FROM (SELECT id, json FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id)`);
    this.#one = db.prepare<[number], { json: Buffer }>('SELECT CAST(json AS BLOB) AS json FROM outbox WHERE id = ?');
    this.#sizes = db.prepare<[number, number, number], SizeRow>(
      `SELECT id, octet_length(json) AS bytes, sum, boot, mono_ms AS monoMs, keep
       FROM outbox WHERE id > ? AND id < ? ORDER BY id LIMIT ?`,
    );
  }

  /** The next events of a lane after a place in it; older epochs come first. @throws DamagedRows */
  peek(request: PeekRequest): PeekedBatch | undefined {
    const slots = this.#slots.of(request.lane);
    const at = request.after ? slots.findIndex(({ epoch }) => epoch === request.after?.epoch) : 0;
    for (const [index, slot] of slots.slice(Math.max(0, at)).entries()) {
      const after = index === 0 && request.after && at >= 0 ? request.after.seq : 0;
      const batch = slot.depth > 0 && after < slot.last ? this.#peekIn(slot, after, request) : undefined;
      if (batch) return batch;
    }
    return undefined;
  }

  #peekIn(slot: Slot, after: number, { maxEvents, maxBytes }: PeekRequest): PeekedBatch | undefined {
    const rows = this.#sizes.all(idOf(slot.slot, after), idOf(slot.slot + 1, 0), maxEvents);
    let bytes = 2;
    let last: number | undefined;
    let count = 0;
    for (const row of rows) {
      bytes += row.bytes + 1;
      if (last !== undefined && bytes > maxBytes) break;
      last = row.id;
      count += 1;
    }
    const more = rows.length > count || rows.length === maxEvents;
    const first = rows[0]?.id;
    if (first === undefined || last === undefined) return undefined;
    const text = count === 1 ? this.#one.get(first)?.json : this.#joinRange.get(first, last)?.joined;
    if (!text) return undefined;
    checkRows(rows.slice(0, count), text, count === 1 ? 0 : 1);
    return { epoch: slot.epoch, first: seqOf(first), last: seqOf(last), count, bytes: text, more };
  }
}

/** @param start of the first text in the joined bytes; each next one lies one comma further */
function checkRows(rows: readonly SizeRow[], joined: Buffer, start: number): void {
  const damaged: SizeRow[] = [];
  let at = start;
  for (const row of rows) {
    if (row.sum !== null && row.sum !== rowSum(row, joined.subarray(at, at + row.bytes))) damaged.push(row);
    at += row.bytes + 1;
  }
  if (damaged.length > 0) throw new DamagedRows(damaged);
}

/**
 * Reads waiting events as one publish: the stored texts joined by SQLite, never parsed again.
 *
 *   one event -> {…}        several -> [{…},{…}]
 */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import type { PeekedBatch, PeekRequest } from './protocol.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';

interface JoinedRow {
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly joined: Buffer | null;
}

export class Batches {
  readonly #slots: Slots;
  readonly #joinRange: Statement<[number, number], JoinedRow>;
  readonly #one: Statement<[number], { json: Buffer }>;
  readonly #sizes: Statement<[number, number, number], { id: number; bytes: number }>;

  constructor(db: Sqlite, slots: Slots) {
    this.#slots = slots;
    this.#joinRange = db.prepare<[number, number], JoinedRow>(`
      SELECT count(*) AS count, min(id) AS first, max(id) AS last,
        CAST('[' || group_concat(json, ',') || ']' AS BLOB) AS joined
      FROM (SELECT id, json FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id)`);
    this.#one = db.prepare<[number], { json: Buffer }>('SELECT CAST(json AS BLOB) AS json FROM outbox WHERE id = ?');
    this.#sizes = db.prepare<[number, number, number], { id: number; bytes: number }>(
      'SELECT id, octet_length(json) AS bytes FROM outbox WHERE id > ? AND id < ? ORDER BY id LIMIT ?',
    );
  }

  /** The next events of a lane after a place in it; older epochs come first. */
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
    return { epoch: slot.epoch, first: seqOf(first), last: seqOf(last), count, bytes: text, more };
  }
}

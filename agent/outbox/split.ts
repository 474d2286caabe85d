/**
 * Parts rows where an acknowledgement or a giving-up ends in the middle of one, so that both are whole rows.
 *
 *   | 5 6 7 8 |   at 7 ->   | 5 6 | 7 8 |
 */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { DamagedRows } from './damaged-rows.ts';
import { countSql, type Part, partsOf, slicedRun, type WholeRow, wholeRowSql } from './runs.ts';
import { idOf } from './schema.ts';
import type { Slot } from './slots.ts';

interface SplitRow extends WholeRow {
  readonly parts: Buffer;
}

type Values = [json: Buffer, sum: number, parts: Buffer | null, id: number];

/** @returns finds the row that begins before this number of a slot, and holds it */
export function holders(db: Sqlite): (slot: Slot, seq: number) => number | undefined {
  const before = db.prepare<[number, number], { id: number; count: number }>(
    `SELECT id, ${countSql} AS count FROM outbox WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 1`,
  );
  return (slot, seq) => {
    if (seq <= slot.first || seq > slot.last) return undefined;
    const id = idOf(slot.slot, seq);
    const row = before.get(idOf(slot.slot, 0), id);
    return row && row.id + row.count > id ? row.id : undefined;
  };
}

export class Splitter {
  readonly #holder: ReturnType<typeof holders>;
  readonly #row: Statement<[number], WholeRow>;
  readonly #shorten: Statement<Values>;
  readonly #behind: Statement<[number, ...Values]>;

  constructor(db: Sqlite) {
    this.#holder = holders(db);
    this.#row = db.prepare<[number], WholeRow>(`${wholeRowSql} WHERE id = ?`);
    this.#shorten = db.prepare<Values>('UPDATE outbox SET json = CAST(? AS TEXT), sum = ?, parts = ? WHERE id = ?');
    this.#behind = db.prepare<[number, ...Values]>(
      `INSERT INTO outbox
       SELECT ?, boot, mono_ms, expires_mono_ms, keep, CAST(? AS TEXT), ?, ? FROM outbox WHERE id = ?`,
    );
  }

  /** A row begins with this number, if any holds it. @throws DamagedRows */
  at(slot: Slot, seq: number): void {
    const holder = this.#holder(slot, seq);
    const row = holder === undefined ? undefined : this.#row.get(holder);
    if (row) this.#part(row, soundParts(row), idOf(slot.slot, seq) - row.id);
  }

  /** The fewest first events of a row that have so many bytes become a row of their own. @throws DamagedRows */
  first(id: number, bytes: number): { readonly count: number; readonly bytes: number } {
    const row = this.#row.get(id);
    const parts = row ? soundParts(row) : [];
    let [count, sum] = [0, 0];
    for (const part of parts) {
      if (count > 0 && sum >= bytes) break;
      count += 1;
      sum += part.bytes;
    }
    if (row && count < parts.length) this.#part(row, parts, count);
    return { count, bytes: sum };
  }

  #part(row: WholeRow, parts: readonly Part[], count: number): void {
    if (!hasParts(row) || count >= parts.length) throw damaged(row);
    const [head, tail] = [slicedRun(row, parts, 0, count), slicedRun(row, parts, count, parts.length)];
    this.#behind.run(tail.id, tail.json, tail.sum, tail.parts, row.id);
    this.#shorten.run(head.json, head.sum, head.parts, row.id);
  }
}

const hasParts = (row: WholeRow): row is SplitRow => row.parts !== null;

function soundParts(row: WholeRow): readonly Part[] {
  const parts = partsOf(row, row.json.length);
  if (!parts) throw damaged(row);
  return parts;
}

const damaged = ({ id, json }: WholeRow): DamagedRows => new DamagedRows([{ id, bytes: json.length, isRow: true }]);

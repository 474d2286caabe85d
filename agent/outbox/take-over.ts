/** Puts what was read of a damaged store into the new one, in its old epoch, and declares what is missing. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { countOf, type Ranges, rangesOf, union, without } from '#agent/domain/ranges.ts';
import type { Moment } from './protocol.ts';
import type { Rows } from './rows.ts';
import type { Damaged, SalvagedLane, SalvagedRow } from './salvage.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { rowSum } from './sums.ts';

/** Numbers that will never come; `count` of them where it is not known which. */
export interface Missing {
  readonly slot: Slot;
  readonly range: Ranges[number];
  readonly count: number;
}

/**
 * Before this epoch has its slots, so that what is taken over goes first.
 *
 * @param lanes whose rows are taken: there may not be room for all
 */
export function takeOver(db: Sqlite, slots: Slots, damaged: Damaged, lanes: readonly Lane[]): readonly Missing[] {
  const taking = new Taking(db, slots, damaged);
  const isWanted = ({ lane }: SalvagedRow): boolean => lanes.includes(lane);
  for (const row of damaged.readRows('current')) if (isWanted(row)) taking.take(row);
  if (taking.isIncomplete(lanes)) {
    for (const row of damaged.readRows('all')) if (isWanted(row) && taking.misses(row)) taking.take(row);
  }
  return taking.end();
}

/** Says which numbers will never come. */
export function declareMissing(
  missing: readonly Missing[],
  rows: Rows,
  { now, lanes }: { readonly now: Moment; readonly lanes: readonly Lane[] },
): void {
  for (const { slot, range, count } of missing) {
    const reason = lanes.includes(slot.lane) ? 'corrupt' : 'disk-full';
    rows.declare(slot, { first: range[0], last: range[1], count, bytes: 0 }, reason, now);
  }
}

/** What the old store said of a lane, and what of it is to be found. */
interface Old {
  readonly lane: SalvagedLane | undefined;
  readonly dropped: Ranges;
  /** Missing, and not given up. */
  wanted: Ranges;
  /** Numbers of rows that were there, and are damaged. */
  readonly damaged: Set<number>;
}

type Value = number | Buffer;

/** Rows that one statement writes. */
const rowsAtOnce = 16;
const valuesARow = 6;

class Taking {
  readonly #slots: Slots;
  readonly #insertOne: Statement<[readonly Value[]]>;
  readonly #insertMany: Statement<[readonly Value[]]>;
  readonly #count: Statement<[number, number], number>;
  readonly #bytes: Statement<[number, number], number>;
  readonly #ids: Statement<[number, number], number>;
  readonly #old = new Map<Slot, Old>();
  readonly #isBlind: boolean;
  readonly #waiting: Value[] = [];
  readonly #damagedRows: SalvagedRow[] = [];

  constructor(db: Sqlite, slots: Slots, { lanes, drops }: Damaged) {
    this.#slots = slots;
    const insert = (count: number): Statement<[readonly Value[]]> =>
      db.prepare(
        `INSERT OR IGNORE INTO outbox VALUES ${Array.from({ length: count }, () => '(?, ?, ?, NULL, ?, CAST(? AS TEXT), ?)').join(', ')}`,
      );
    this.#insertOne = insert(1);
    this.#insertMany = insert(rowsAtOnce);
    const numbers = (select: string): Statement<[number, number], number> =>
      db.prepare<[number, number], number>(`SELECT ${select} FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id`).pluck();
    this.#count = numbers('count(*)');
    this.#bytes = numbers('coalesce(sum(octet_length(json)), 0)');
    this.#ids = numbers('id');
    this.#isBlind = lanes.length === 0;
    for (const lane of lanes) {
      const slot = this.#slotOf(lane.epoch, lane.lane);
      const of = drops.filter((drop) => drop.slot === lane.slot);
      const dropped = union(of.map(({ first, last }) => [first, last] as const));
      this.#old.set(slot, { lane, dropped, wanted: [], damaged: new Set() });
      slot.last = Math.max(slot.last, lane.last);
      slot.acked = Math.max(slot.acked, lane.acked);
    }
  }

  take(row: SalvagedRow): void {
    const { epoch, lane, seq, boot, monoMs, keep, json } = row;
    if (!json) {
      this.#damagedRows.push(row);
      return;
    }
    const slot = this.#slotOf(epoch, lane);
    const id = idOf(slot.slot, seq);
    slot.last = Math.max(slot.last, seq);
    this.#waiting.push(
      id,
      boot,
      monoMs,
      keep,
      json,
      id === row.id ? row.sum : rowSum({ id, boot, monoMs, keep }, json),
    );
    if (this.#waiting.length === rowsAtOnce * valuesARow) this.#insertMany.run(this.#waiting.splice(0));
  }

  /** Finds out what is missing. */
  isIncomplete(lanes: readonly Lane[]): boolean {
    this.#settle();
    const taken = [...this.#old].filter(([slot]) => lanes.includes(slot.lane));
    for (const [slot, old] of taken) old.wanted = without(this.#gaps(slot), old.dropped);
    return this.#isBlind || taken.some(([, { lane, wanted }]) => !lane || wanted.length > 0);
  }

  /** What was acknowledged or given up lies there too, and stays gone, as far as that is known. */
  misses({ epoch, lane, seq }: SalvagedRow): boolean {
    const slot = this.#slots.find(epoch, lane);
    const old = slot && this.#old.get(slot);
    if (!slot || !old?.lane || seq > slot.last) return true;
    return old.wanted.some(([first, last]) => seq >= first && seq <= last);
  }

  end(): readonly Missing[] {
    this.#settle();
    for (const slot of this.#old.keys()) {
      const [from, to] = [idOf(slot.slot, 1), idOf(slot.slot, slot.last)];
      slot.depth = this.#count.get(from, to) ?? 0;
      slot.bytes = this.#bytes.get(from, to) ?? 0;
      this.#slots.touch(slot);
      this.#slots.refresh(slot);
    }
    return [...this.#old].flatMap(([slot, old]) => this.#missingOf(slot, old));
  }

  #slotOf(epoch: string, lane: Lane): Slot {
    const slot = this.#slots.find(epoch, lane) ?? this.#slots.create(epoch, lane);
    if (!this.#old.has(slot)) this.#old.set(slot, { lane: undefined, dropped: [], wanted: [], damaged: new Set() });
    return slot;
  }

  /** Writes the rows that wait, and counts the damaged ones, of epochs that something whole tells of. */
  #settle(): void {
    for (let at = 0; at < this.#waiting.length; at += valuesARow) {
      this.#insertOne.run(this.#waiting.slice(at, at + valuesARow));
    }
    this.#waiting.length = 0;
    for (const { epoch, lane, seq } of this.#damagedRows.splice(0)) {
      const slot = this.#slots.find(epoch, lane);
      const old = slot && this.#old.get(slot);
      if (!slot || !old) continue;
      slot.last = Math.max(slot.last, seq);
      old.damaged.add(seq);
    }
  }

  /**
   * What was given up before is declared once more, since the ledger has no checksums. Of what consumers lack below the
   * last acknowledged, often only the count is known.
   */
  #missingOf(slot: Slot, { lane, dropped, damaged }: Old): Missing[] {
    const known = union(this.#gaps(slot), rangesOf(this.#damagedBelow(slot, damaged)));
    const missing = known.map((range) => ({ slot, range, count: countOf([range]) }));
    const others = (lane?.depth ?? 0) - slot.depth - countOf(without(known, dropped));
    return others > 0 && slot.acked > 0 ? [{ slot, range: [1, slot.acked], count: others }, ...missing] : missing;
  }

  #damagedBelow(slot: Slot, damaged: ReadonlySet<number>): number[] {
    const below = [...damaged].filter((seq) => seq <= slot.acked).toSorted((a, b) => a - b);
    return below.filter((seq) => this.#ids.get(idOf(slot.slot, seq), idOf(slot.slot, seq)) === undefined);
  }

  /** Numbers above the last acknowledged that are not here. */
  #gaps(slot: Slot): Ranges {
    const found: [number, number][] = [];
    let next = slot.acked + 1;
    const [from, to] = [idOf(slot.slot, next), idOf(slot.slot, slot.last)];
    if (this.#count.get(from, to) === slot.last - slot.acked) return found;
    for (const id of this.#ids.iterate(from, to)) {
      if (seqOf(id) > next) found.push([next, seqOf(id) - 1]);
      next = seqOf(id) + 1;
    }
    if (next <= slot.last) found.push([next, slot.last]);
    return found;
  }
}

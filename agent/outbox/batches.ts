/**
 * Reads waiting events as one publish: the stored texts joined by SQLite, never parsed again.
 *
 *   one event -> {…}        several -> [{…},{…}]
 */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { type DamagedEvents, DamagedRows } from './damaged-rows.ts';
import type { PeekedBatch, PeekRequest } from './protocol.ts';
import { partsOf, type StoredRun } from './runs.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { holders } from './split.ts';
import { type RowFacts, rowSum } from './sums.ts';

interface SizedRow extends StoredRun {
  readonly bytes: number;
}

/** An event in its row, and where its text is when the texts of the rows are joined. */
interface Waiting extends RowFacts {
  readonly at: number;
  readonly bytes: number;
  /** null in rows of version 1. */
  readonly sum: number | null;
  /** In its row, as far as the row says so. */
  readonly isAlone: boolean;
}

/** What a batch will hold, and the rows that hold it. */
interface Chosen {
  readonly events: Waiting[];
  firstRow: number;
  lastRow: number;
  more: boolean;
}

/** Enough where each holds many events; the others of a batch are read when they are needed. */
const rowsAtFirst = 3;
const rowsAfterwards = 64;

export class Batches {
  readonly #slots: Slots;
  readonly #joined: Statement<[number, number], Buffer>;
  readonly #few: Statement<[number, number], SizedRow>;
  readonly #many: Statement<[number, number], SizedRow>;
  readonly #holder: ReturnType<typeof holders>;

  constructor(db: Sqlite, slots: Slots) {
    this.#slots = slots;
    this.#joined = db
      .prepare<[number, number], Buffer>(
        `SELECT CAST('[' || group_concat(json, ',') || ']' AS BLOB)
         FROM (SELECT json FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id)`,
      )
      .pluck();
    // a limit that is bound would have SQLite prepare the statement again each time
    const rows = (limit: number): Statement<[number, number], SizedRow> =>
      db.prepare<[number, number], SizedRow>(
        `SELECT id, octet_length(json) AS bytes, sum, boot, mono_ms AS monoMs, keep, parts
         FROM outbox WHERE id >= ? AND id < ? ORDER BY id LIMIT ${limit}`,
      );
    [this.#few, this.#many] = [rows(rowsAtFirst), rows(rowsAfterwards)];
    this.#holder = holders(db);
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

  #peekIn(slot: Slot, after: number, request: PeekRequest): PeekedBatch | undefined {
    const { events, firstRow, lastRow, more } = this.#choose(slot, after + 1, request);
    const [first, last] = [events[0], events.at(-1)];
    const joined = first && this.#joined.get(firstRow, lastRow);
    if (!joined || !last) return undefined;
    checkEvents(events, joined);
    const bytes = cut(joined, first, last);
    return { epoch: slot.epoch, first: seqOf(first.id), last: seqOf(last.id), count: events.length, bytes, more };
  }

  /** Whole rows as far as they fit, so that an acknowledgement finds whole ones, and at least half of what may be. */
  #choose(slot: Slot, from: number, { maxEvents, maxBytes }: PeekRequest): Chosen {
    const chosen: Chosen = { events: [], firstRow: 0, lastRow: 0, more: false };
    const { events } = chosen;
    let [bytes, at] = [2, 1];
    for (const row of this.#rowsFrom(slot, from)) {
      const wanted = eventsOf(row, at, from - seqOf(row.id));
      const fitting = howManyFit(wanted, maxEvents - events.length, maxBytes - bytes);
      const isFirst = events.length === 0;
      const isHalfFull = !isFirst && (2 * events.length >= maxEvents || 2 * bytes >= maxBytes);
      const taken = isHalfFull && fitting < wanted.length ? 0 : Math.max(fitting, isFirst ? 1 : 0);
      chosen.more = taken < wanted.length;
      if (taken === 0) return chosen;
      if (isFirst) chosen.firstRow = row.id;
      chosen.lastRow = row.id;
      for (const event of wanted.slice(0, taken)) {
        events.push(event);
        bytes += event.bytes + 1;
      }
      if (chosen.more) return chosen;
      at += row.bytes + 1;
    }
    chosen.more = events.length === maxEvents;
    return chosen;
  }

  /** From the row that holds this number on. */
  *#rowsFrom(slot: Slot, from: number): Generator<SizedRow> {
    const [begin, end] = [idOf(slot.slot, from), idOf(slot.slot + 1, 0)];
    let rows = this.#few.all(this.#holder(slot, from) ?? begin, end);
    for (let most = rowsAtFirst; ; most = rowsAfterwards) {
      yield* rows;
      const last = rows.at(-1);
      if (!last || rows.length < most) return;
      rows = this.#many.all(last.id + 1, end);
    }
  }
}

/**
 * @param at where its text begins
 * @param skipped events of it that are not wanted
 * @throws DamagedRows
 */
function eventsOf({ id, boot, monoMs, keep, bytes, sum, parts }: SizedRow, at: number, skipped: number): Waiting[] {
  const found = partsOf({ sum, parts }, bytes);
  if (!found) throw new DamagedRows([{ id, bytes, isRow: true }]);
  const isAlone = parts === null;
  const events: Waiting[] = [];
  for (let n = Math.max(0, skipped); n < found.length; n += 1) {
    const part = found[n];
    if (part)
      events.push({ id: id + n, boot, monoMs, keep, at: at + part.at, bytes: part.bytes, sum: part.sum, isAlone });
  }
  return events;
}

function howManyFit(events: readonly Waiting[], most: number, mostBytes: number): number {
  let [count, bytes] = [0, 0];
  for (const event of events) {
    bytes += event.bytes + 1;
    if (count === most || bytes > mostBytes) break;
    count += 1;
  }
  return count;
}

/** What lies between two texts has no checksum, and can only be a comma. @throws DamagedRows */
function checkEvents(events: readonly Waiting[], joined: Buffer): void {
  const damaged: DamagedEvents[] = [];
  for (const event of events) {
    if (event !== events[0]) joined[event.at - 1] = comma;
    const { id, at, bytes, sum } = event;
    const isSound = sum === null || sum === rowSum(event, joined.subarray(at, at + bytes));
    if (!isSound) damaged.push({ id, bytes, isRow: event.isAlone });
  }
  if (damaged.length > 0) throw new DamagedRows(damaged);
}

/** `[{…},{…}]`, or `{…}` when it is one; of memory of its own. */
function cut(joined: Buffer, first: Waiting, last: Waiting): Uint8Array {
  const [begin, end] = [first.at, last.at + last.bytes];
  if (first === last) return new Uint8Array(joined.subarray(begin, end));
  if (begin === 1 && end === joined.length - 1) return joined;
  const bytes = new Uint8Array(joined.subarray(begin - 1, end + 1));
  bytes[0] = opening;
  bytes[bytes.length - 1] = closing;
  return bytes;
}

const [opening = 0, comma = 0, closing = 0] = Buffer.from('[,]');

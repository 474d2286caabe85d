/** The rows of the waiting events: written, removed and given up inside the transaction of the caller. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { type Origin, encodeEvent, type EncodedEvent, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { EventData } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Moment } from './protocol.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';

type Reason = EventData<'dropped'>['reason'];

export class Rows {
  readonly #slots: Slots;
  readonly #origin: Origin;
  readonly #insert: Statement<[number, number, number, null, number, string]>;
  readonly #size: Statement<[number, number], { count: number; bytes: number }>;
  readonly #remove: Statement<[number, number]>;
  readonly #oldest: Statement<[number, number], { id: number; bytes: number }>;
  readonly #giveUp: Statement<[number, number]>;
  readonly #ledger: Statement<[number, number, number, number, number, string, number]>;

  constructor(db: Sqlite, slots: Slots, origin: Origin) {
    this.#slots = slots;
    this.#origin = origin;
    this.#insert = db.prepare<[number, number, number, null, number, string]>(
      'INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)',
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

  /** @returns the event's sequence number */
  append(slot: Slot, event: EncodedEvent, monoMs: number, keep = false): number {
    const seq = slot.last + 1;
    const json = spliceSequence(slot.head, event, seq);
    const at = Math.max(0, Math.round(monoMs));
    this.#insert.run(idOf(slot.slot, seq), this.#origin.boot, at, null, keep ? 1 : 0, json);
    slot.last = seq;
    slot.depth += 1;
    slot.bytes += Buffer.byteLength(json);
    if (slot.depth === 1) {
      slot.first = seq;
      slot.oldestMonoMs = at;
    }
    this.#slots.touch(slot);
    return seq;
  }

  /** Removes what was acknowledged; ranges of `missing` stay. An acknowledgement never goes back, nor past the end. */
  acknowledge(slot: Slot, upto: number, missing: readonly (readonly [number, number])[]): void {
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
    let freed = 0;
    for (const slot of from.flatMap((lane) => this.#slots.of(lane))) {
      if (freed >= goalBytes) break;
      freed += this.#giveUpIn(slot, goalBytes - freed, reason, now);
    }
    return freed;
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
    const declared = this.append(
      this.#slots.current('audit'),
      encodeEvent(event, this.#origin, now.clock),
      monoMs,
      true,
    );
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
      const [first, last] = [rows[0], rows[count - 1]];
      if (!first || !last) break;
      this.#giveUp.run(first.id, last.id);
      slot.depth -= count;
      slot.bytes -= bytes;
      freed += bytes;
      this.#slots.touch(slot);
      this.#slots.refresh(slot);
      this.declare(slot, { first: seqOf(first.id), last: seqOf(last.id), count, bytes }, reason, now);
    }
    return freed;
  }
}

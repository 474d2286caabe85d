/** Puts what was read of a damaged store into the new one, in its old epoch, and declares what is missing. */
import type { Sqlite } from '#agent/core/sqlite.ts';
import type { Moment } from './protocol.ts';
import type { Rows } from './rows.ts';
import type { Damaged } from './salvage.ts';
import { idOf, seqOf } from './schema.ts';
import type { Slot, Slots } from './slots.ts';
import { rowSum } from './sums.ts';

export interface TakenOver {
  readonly events: number;
  readonly slots: ReadonlySet<Slot>;
}

/** Before this epoch has its slots, so that what is taken over goes first. */
export function takeOver(db: Sqlite, slots: Slots, damaged: Damaged): TakenOver {
  const insert = db.prepare('INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, NULL, ?, ?, ?)');
  const old = new Set<Slot>();
  const slotOf = (epoch: string, lane: Slot['lane']): Slot => {
    const slot = slots.find(epoch, lane) ?? slots.create(epoch, lane);
    old.add(slot);
    return slot;
  };
  for (const { epoch, lane, last, acked } of damaged.lanes) {
    const slot = slotOf(epoch, lane);
    slot.last = Math.max(slot.last, last);
    slot.acked = Math.max(slot.acked, acked);
  }
  let taken = 0;
  damaged.readRows(({ epoch, lane, seq, boot, monoMs, keep, json }) => {
    const slot = slotOf(epoch, lane);
    const facts = { id: idOf(slot.slot, seq), boot, monoMs, keep };
    if (insert.run(facts.id, boot, monoMs, keep, json, rowSum(facts, json)).changes === 0) return false;
    slot.last = Math.max(slot.last, seq);
    slot.depth += 1;
    slot.bytes += Buffer.byteLength(json);
    taken += 1;
    return true;
  });
  for (const slot of old) {
    slots.touch(slot);
    slots.refresh(slot);
  }
  return { events: taken, slots: old };
}

/** Says which numbers will never come. */
export function declareGaps(db: Sqlite, { slots }: TakenOver, rows: Rows, now: Moment): void {
  for (const slot of slots) {
    for (const [first, last] of gaps(db, slot)) {
      rows.declare(slot, { first, last, count: last - first + 1, bytes: 0 }, 'corrupt', now);
    }
  }
}

/** Numbers above the last acknowledged that are neither here nor in the old ledger's reach. */
function gaps(db: Sqlite, slot: Slot): [number, number][] {
  const found: [number, number][] = [];
  let next = slot.acked + 1;
  const ids = db.prepare('SELECT id FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id').pluck();
  for (const id of ids.iterate(idOf(slot.slot, next), idOf(slot.slot, slot.last)) as Iterable<number>) {
    if (seqOf(id) > next) found.push([next, seqOf(id) - 1]);
    next = seqOf(id) + 1;
  }
  if (next <= slot.last) found.push([next, slot.last]);
  return found;
}

/** Puts what was read of a damaged store into another one, in its old epoch, and finds what is missing. */
import type { Lane } from '#agent/domain/lane.ts';
import { countOf, type Ranges, rangesOf, union, without } from '#agent/domain/ranges.ts';
import type { Damaged, SalvagedEvent, SalvagedLane } from './salvage.ts';
import type { Slot, Slots } from './slots.ts';
import type { TakenRows } from './taken-rows.ts';

/** Numbers that will never come; `count` of them where it is not known which. */
export interface Missing {
  readonly slot: Slot;
  readonly range: Ranges[number];
  readonly count: number;
}

/**
 * @param lanes whose rows are taken: there may not be room for all
 */
export function takeOver(rows: TakenRows, slots: Slots, damaged: Damaged, lanes: readonly Lane[]): readonly Missing[] {
  const taking = new Taking(rows, slots, damaged);
  const isWanted = ({ lane }: SalvagedEvent): boolean => lanes.includes(lane);
  for (const event of damaged.readEvents('current')) if (isWanted(event)) taking.take(event);
  if (taking.isIncomplete(lanes)) {
    for (const event of damaged.readEvents('all')) if (isWanted(event) && taking.misses(event)) taking.take(event);
  }
  return taking.end();
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

class Taking {
  readonly #rows: TakenRows;
  readonly #slots: Slots;
  readonly #old = new Map<Slot, Old>();
  readonly #isBlind: boolean;
  readonly #damagedEvents: SalvagedEvent[] = [];

  constructor(rows: TakenRows, slots: Slots, { lanes, drops }: Damaged) {
    this.#rows = rows;
    this.#slots = slots;
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

  take(event: SalvagedEvent): void {
    if (!event.json) {
      this.#damagedEvents.push(event);
      return;
    }
    const slot = this.#slotOf(event.epoch, event.lane);
    slot.last = Math.max(slot.last, event.seq);
    this.#rows.add(slot, event, event.json);
  }

  /** Finds out what is missing. */
  isIncomplete(lanes: readonly Lane[]): boolean {
    this.#settle();
    const taken = [...this.#old].filter(([slot]) => lanes.includes(slot.lane));
    for (const [slot, old] of taken) old.wanted = without(this.#gaps(slot), old.dropped);
    return this.#isBlind || taken.some(([, { lane, wanted }]) => !lane || wanted.length > 0);
  }

  /** What was acknowledged or given up lies there too, and stays gone, as far as that is known. */
  misses({ epoch, lane, seq }: SalvagedEvent): boolean {
    const slot = this.#slots.find(epoch, lane);
    const old = slot && this.#old.get(slot);
    if (!slot || !old?.lane || seq > slot.last) return true;
    return old.wanted.some(([first, last]) => seq >= first && seq <= last);
  }

  end(): readonly Missing[] {
    this.#settle();
    for (const slot of this.#old.keys()) {
      const { numbers, bytes } = this.#rows.of(slot);
      slot.depth = numbers.size;
      slot.bytes = bytes;
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

  /** Writes the rows that wait, and counts the damaged events, of epochs that something whole tells of. */
  #settle(): void {
    this.#rows.flush();
    for (const { epoch, lane, seq } of this.#damagedEvents.splice(0)) {
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
    const { numbers } = this.#rows.of(slot);
    return [...damaged].filter((seq) => seq <= slot.acked && !numbers.has(seq)).toSorted((a, b) => a - b);
  }

  /** Numbers above the last acknowledged that are not here. */
  #gaps(slot: Slot): Ranges {
    return this.#rows.of(slot).numbers.gaps(slot.acked + 1, slot.last);
  }
}

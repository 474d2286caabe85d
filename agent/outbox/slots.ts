/**
 * The counters of every (epoch, lane): in memory for speed, in table `lane` for truth, changed in one transaction.
 *
 *   remember -> change -> persist -> commit        or        -> rollback -> restore what was remembered
 */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { encodeHead, type Origin } from '#agent/domain/cloudevent.ts';
import { type Lane, isLane, lanes } from '#agent/domain/lane.ts';
import type { Counters, SlotState } from './protocol.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { idOf, seqOf } from './schema.ts';
import { laneSum } from './sums.ts';

export interface Slot {
  readonly slot: number;
  readonly epoch: string;
  readonly lane: Lane;
  /** The part of the JSON before the first sequence number, UTF-8. */
  readonly head: Buffer;
  last: number;
  acked: number;
  depth: number;
  bytes: number;
  first: number;
  oldestMonoMs: number | undefined;
}

interface LaneRow {
  readonly slot: number;
  readonly epoch: string;
  readonly lane: string;
  readonly last_seq: number;
  readonly acked_seq: number;
  readonly depth: number;
  readonly bytes: number;
}

export class Slots {
  readonly #db: Sqlite;
  readonly #origin: Origin;
  readonly #above: number;
  readonly #all: Slot[] = [];
  readonly #touched = new Set<Slot>();
  readonly #update: Statement<[number, number, number, number, number, number]>;
  readonly #oldest: Statement<[number, number], { id: number; boot: number; mono_ms: number }>;
  readonly #current = new Map<Lane, Slot>();
  /** Six numbers of each slot. */
  #before: number[] = [];
  /** What `changes` gave last. */
  readonly #told: SlotState[] = [];

  /** @param above numbers up to this one are left free */
  constructor(db: Sqlite, origin: Origin, above = 0) {
    this.#db = db;
    this.#origin = origin;
    this.#above = above;
    this.#update = db.prepare<[number, number, number, number, number, number]>(
      'UPDATE lane SET last_seq = ?, acked_seq = ?, depth = ?, bytes = ?, sum = ? WHERE slot = ?',
    );
    this.#oldest = db.prepare<[number, number], { id: number; boot: number; mono_ms: number }>(
      'SELECT id, boot, mono_ms FROM outbox WHERE id > ? AND id < ? ORDER BY id LIMIT 1',
    );
    for (const row of db.prepare('SELECT * FROM lane ORDER BY slot').all() as LaneRow[]) this.#load(row);
  }

  /** All slots of a lane, oldest epoch first. */
  of(lane: Lane): Slot[] {
    return this.#all.filter((slot) => slot.lane === lane);
  }

  find(epoch: string, lane: Lane): Slot | undefined {
    return this.#all.find((slot) => slot.epoch === epoch && slot.lane === lane);
  }

  at(number: number): Slot | undefined {
    return this.#all.find(({ slot }) => slot === number);
  }

  /** The slot of this epoch. */
  current(lane: Lane): Slot {
    const slot = this.#current.get(lane);
    if (!slot) throw new OutpostError('internal', `Lane ${lane} has no slot.`);
    return slot;
  }

  /** Gives each lane of this epoch its slot. Inside a transaction. */
  begin(): void {
    const { epoch } = this.#origin;
    for (const lane of lanes) this.#current.set(lane, this.find(epoch, lane) ?? this.create(epoch, lane));
  }

  create(epoch: string, lane: Lane): Slot {
    const slot = Math.max(this.#all.at(-1)?.slot ?? 0, this.#above) + 1;
    this.#db.prepare('INSERT INTO lane (slot, epoch, lane) VALUES (?, ?, ?)').run(slot, epoch, lane);
    const made = this.#load({ slot, epoch, lane, last_seq: 0, acked_seq: 0, depth: 0, bytes: 0 });
    this.touch(made);
    return made;
  }

  get totalBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#all) sum += bytes;
    return sum;
  }

  touch(slot: Slot): void {
    this.#touched.add(slot);
  }

  /** Looks up the oldest row again, after rows went. */
  refresh(slot: Slot): void {
    const row = slot.depth > 0 ? this.#oldest.get(idOf(slot.slot, 0), idOf(slot.slot + 1, 0)) : undefined;
    slot.first = row ? seqOf(row.id) : 0;
    slot.oldestMonoMs = row && row.boot === this.#origin.boot ? row.mono_ms : undefined;
  }

  remember(): void {
    this.#before.length = 0;
    for (const { last, acked, depth, bytes, first, oldestMonoMs = -1 } of this.#all) {
      this.#before.push(last, acked, depth, bytes, first, oldestMonoMs);
    }
  }

  persist(): void {
    for (const slot of this.#touched) {
      this.#update.run(slot.last, slot.acked, slot.depth, slot.bytes, laneSum(slot), slot.slot);
    }
    this.#touched.clear();
  }

  restore(): void {
    this.#touched.clear();
    for (const [index, slot] of this.#all.entries()) {
      const [last = 0, acked = 0, depth = 0, bytes = 0, first = 0, oldest = -1] = this.#before.slice(6 * index);
      Object.assign(slot, { last, acked, depth, bytes, first, oldestMonoMs: oldest < 0 ? undefined : oldest });
    }
  }

  /** All of them; `changes` counts from here. */
  state(): SlotState[] {
    const state = this.#all.map(stateOf);
    this.#told.splice(0, this.#told.length, ...state);
    return state;
  }

  /** What is not as it was told last. */
  changes(): Counters {
    const counters: number[] = [];
    for (const [index, slot] of this.#all.entries()) {
      const told = this.#told[index];
      if (told && isSame(told, slot)) continue;
      this.#told[index] = stateOf(slot);
      counters.push(index, slot.last, slot.depth, slot.bytes, slot.first, slot.oldestMonoMs ?? -1);
    }
    return counters;
  }

  #load(row: LaneRow): Slot {
    const lane = isLane(row.lane) ? row.lane : 'audit';
    const slot: Slot = {
      slot: row.slot,
      epoch: row.epoch,
      lane,
      head: Buffer.from(encodeHead(row.epoch, lane)),
      last: row.last_seq,
      acked: row.acked_seq,
      depth: row.depth,
      bytes: row.bytes,
      first: 0,
      oldestMonoMs: undefined,
    };
    this.refresh(slot);
    this.#all.push(slot);
    return slot;
  }
}

const stateOf = ({ epoch, lane, last, depth, bytes, first, oldestMonoMs }: Slot): SlotState => ({
  epoch,
  lane,
  last,
  depth,
  bytes,
  first,
  oldestMonoMs,
});

const isSame = (one: SlotState, other: Slot): boolean =>
  one.last === other.last &&
  one.depth === other.depth &&
  one.bytes === other.bytes &&
  one.first === other.first &&
  one.oldestMonoMs === other.oldestMonoMs;

/** A list of all slots with what changed in it. */
export function withChanges(slots: readonly SlotState[], counters: Counters): readonly SlotState[] {
  if (counters.length === 0) return slots;
  const changed = [...slots];
  for (let at = 0; at < counters.length; at += 6) {
    const [index = 0, last = 0, depth = 0, bytes = 0, first = 0, oldest = -1] = counters.slice(at, at + 6);
    const slot = changed[index];
    if (!slot) continue;
    const oldestMonoMs = oldest < 0 ? undefined : oldest;
    changed[index] = { epoch: slot.epoch, lane: slot.lane, last, depth, bytes, first, oldestMonoMs };
  }
  return changed;
}

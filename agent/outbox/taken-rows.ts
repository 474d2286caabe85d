/** Writes what was read of damaged stores into a new one: each event once, however often it was found. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import { NumberSet } from './number-set.ts';
import { OpenRun } from './runs.ts';
import type { SalvagedEvent } from './salvage.ts';
import { idOf } from './schema.ts';
import type { Slot } from './slots.ts';
import { rowSum } from './sums.ts';

export interface Taken {
  readonly numbers: NumberSet;
  /** Of their texts. */
  bytes: number;
}

/** Events of one lane and boot that are written together. */
interface Open {
  readonly boot: number;
  readonly run: OpenRun;
}

type Values = [number, number, number, number, Uint8Array, number, Uint8Array | null];

export class TakenRows {
  readonly #insert: Statement<Values>;
  readonly #wrote: (bytes: number) => void;
  readonly #taken = new Map<Slot, Taken>();
  readonly #open = new Map<Slot, Open>();

  /** @param wrote told of the bytes of each row */
  constructor(db: Sqlite, wrote: (bytes: number) => void) {
    this.#wrote = wrote;
    this.#insert = db.prepare<Values>('INSERT INTO outbox VALUES (?, ?, ?, NULL, ?, CAST(? AS TEXT), ?, ?)');
  }

  of(slot: Slot): Taken {
    const taken = this.#taken.get(slot) ?? { numbers: new NumberSet(), bytes: 0 };
    this.#taken.set(slot, taken);
    return taken;
  }

  /** Written is it after `flush`. */
  add(slot: Slot, { seq, boot, monoMs, keep }: SalvagedEvent, json: Buffer): void {
    const taken = this.of(slot);
    if (!taken.numbers.add(seq)) return;
    taken.bytes += json.length;
    const id = idOf(slot.slot, seq);
    if (keep !== 0) {
      this.#insert.run(id, boot, monoMs, keep, json, rowSum({ id, boot, monoMs, keep }, json), null);
      this.#wrote(json.length);
      return;
    }
    const open = this.#openOf(slot, boot);
    if (!open.run.fits(id, monoMs, json.length)) this.#write(open);
    open.run.add(id, monoMs, json);
  }

  flush(): void {
    for (const open of this.#open.values()) this.#write(open);
  }

  #openOf(slot: Slot, boot: number): Open {
    const before = this.#open.get(slot);
    if (before?.boot === boot) return before;
    if (before) this.#write(before);
    const open = { boot, run: new OpenRun(boot) };
    this.#open.set(slot, open);
    return open;
  }

  #write({ boot, run }: Open): void {
    if (run.isEmpty) return;
    const { id, monoMs, json, sum, parts } = run.take();
    this.#insert.run(id, boot, monoMs, 0, json, sum, parts);
    this.#wrote(json.length);
  }
}

/**
 * One lane on one connection: where reading stands, what is in flight, and what came back.
 *
 *   unread -> in flight -> acknowledged in order -> removed
 *      ^---------- refused: all that is in flight settles, then from the first unacknowledged, later
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { Random } from '#agent/core/random.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Batch, Position } from './source.ts';

interface InFlight {
  readonly batch: Batch;
  readonly sentMonoMs: number;
  answer: 'none' | 'acknowledged' | 'refused';
}

export class LaneDrain {
  readonly lane: Lane;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #cursor: Position | undefined;
  #removed: Position | undefined;
  #inFlight: InFlight[] = [];
  #dueMonoMs: number | undefined;
  #isRefused = false;
  #isProbing = false;

  constructor(lane: Lane, clock: Clock, random: Random) {
    this.lane = lane;
    this.#clock = clock;
    this.#backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, random);
    this.#dueMonoMs = clock.monoMs();
  }

  /** Where to read on. */
  get cursor(): Position | undefined {
    return this.#cursor;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  get oldestSentMonoMs(): number | undefined {
    return this.#inFlight.find(({ answer }) => answer === 'none')?.sentMonoMs;
  }

  /** When it wants to be read; undefined: when something is appended. */
  get dueMonoMs(): number | undefined {
    return this.#isRefused ? undefined : this.#dueMonoMs;
  }

  /** After a refusal one event a publish, so that the one that is refused stands alone. */
  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** Something was appended: read it within `lateMs`, at once when a full batch waits. */
  appended(lateMs: number): void {
    this.#dueMonoMs ??= this.#clock.monoMs() + lateMs;
  }

  dueNow(): void {
    if (this.#dueMonoMs !== undefined && !this.#isProbing) this.#dueMonoMs = this.#clock.monoMs();
  }

  /** Call it before reading: what is appended from now on counts anew. */
  reading(): void {
    this.#dueMonoMs = undefined;
  }

  sent(batch: Batch): InFlight {
    const entry: InFlight = { batch, sentMonoMs: this.#clock.monoMs(), answer: 'none' };
    this.#cursor = { epoch: batch.epoch, seq: batch.last };
    this.#inFlight.push(entry);
    // a probe waits for its answer
    if (batch.more && !this.#isProbing) this.#dueMonoMs ??= this.#clock.monoMs();
    return entry;
  }

  /** @returns batches that can be removed now: those before the first that has no answer, or was refused */
  acknowledged(entry: InFlight): readonly Batch[] {
    entry.answer = 'acknowledged';
    const open = this.#inFlight.findIndex(({ answer }) => answer !== 'acknowledged');
    const done = this.#inFlight.splice(0, open < 0 ? this.#inFlight.length : open).map(({ batch }) => batch);
    const last = done.at(-1);
    if (last) this.#removed = { epoch: last.epoch, seq: last.last };
    if (!this.#isRefused && this.#isProbing && last) this.#recovered();
    this.#settle();
    return done;
  }

  /** It stays in the outbox, and is offered again after a while. */
  refused(entry: InFlight): void {
    entry.answer = 'refused';
    this.#isRefused = true;
    this.#isProbing = true;
    this.#settle();
  }

  #recovered(): void {
    this.#isProbing = false;
    this.#backoff.reset();
    this.#dueMonoMs = this.#clock.monoMs();
  }

  #settle(): void {
    if (!this.#isRefused || this.#inFlight.some(({ answer }) => answer === 'none')) return;
    // What was acknowledged behind the refused one is sent again: its identity lets the consumer ignore it.
    this.#inFlight = [];
    this.#isRefused = false;
    this.#cursor = this.#removed;
    this.#dueMonoMs = this.#clock.monoMs() + this.#backoff.nextMs();
  }
}

/**
 * One lane on one connection: where reading stands, what is in flight, and what came back.
 *
 *   unread -> in flight -> PUBACK in order -> removed                      custody `broker`
 *      ^                -> PUBACK -> uncommitted -> committed              custody `consumer`
 *      |                                |    '-- missing: read again
 *      |---------------- stalled: from the first that waits, one at a time
 *      '-- refused: all that is in flight settles, then from the first unacknowledged, later
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { Random } from '#agent/core/random.ts';
import type { LaneAck } from '#agent/domain/ack.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Batch, BatchLimits, Position } from './source.ts';
import type { Suspects } from './suspects.ts';
import { overlaps, type Range, Uncommitted } from './uncommitted.ts';

export type Custody = 'broker' | 'consumer';

export interface LaneDrainOptions {
  readonly lane: Lane;
  readonly custody: Custody;
  readonly suspects: Suspects;
  readonly clock: Clock;
  readonly random: Random;
}

interface InFlight {
  readonly batch: Batch;
  readonly sentMonoMs: number;
  answer: 'none' | 'acknowledged' | 'refused';
}

/** What to ask the store for. */
export interface Read {
  readonly after: Position | undefined;
  readonly limits: BatchLimits;
  /** Named as missing by the consumer: what lies behind its end is not meant. */
  readonly again: Range | undefined;
}

/** Publishes that a consumer may owe its word for: brokers hold short queues. */
const mostUncommitted = 128;
const stall = { minMs: 10_000, maxMs: 300_000 };

export class LaneDrain {
  readonly lane: Lane;
  readonly #options: LaneDrainOptions;
  readonly #backoff: Backoff;
  readonly #stallBackoff: Backoff;
  readonly #uncommitted = new Uncommitted();
  #cursor: Position | undefined;
  #removed: Position | undefined;
  #inFlight: InFlight[] = [];
  #again: Range[] = [];
  #dueMonoMs: number | undefined;
  #isRefused = false;
  #probeUntil: Position | 'next' | undefined;
  #isStalled = false;
  #stallMonoMs = 0;

  constructor(options: LaneDrainOptions) {
    const { lane, clock, random, suspects } = options;
    this.lane = lane;
    this.#options = options;
    this.#backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, random);
    this.#stallBackoff = new Backoff(stall, random);
    this.#dueMonoMs = clock.monoMs();
    if (suspects.isSuspected(lane)) {
      this.#probeUntil = 'next';
      this.#cursor = suspects.passOver(lane);
    }
  }

  /** Where reading stands. */
  get cursor(): Position | undefined {
    return this.#cursor;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** The first publish without an answer. */
  get unanswered(): Batch | undefined {
    return this.#inFlight.find(({ answer }) => answer === 'none')?.batch;
  }

  get oldestSentMonoMs(): number | undefined {
    return this.#inFlight.find(({ answer }) => answer === 'none')?.sentMonoMs;
  }

  get uncommitted(): number {
    return this.#uncommitted.count;
  }

  /** When it wants to be read; undefined: when something is appended. */
  get dueMonoMs(): number | undefined {
    if (this.#isRefused) return undefined;
    if (this.#again.length > 0) return 0;
    return this.#uncommitted.count >= (this.#isStalled ? 1 : mostUncommitted) ? undefined : this.#dueMonoMs;
  }

  /** When it stalls, unless the consumer says something before. */
  get stallMonoMs(): number | undefined {
    return this.#uncommitted.count > 0 ? this.#stallMonoMs : undefined;
  }

  /** After a refusal one event a publish, so that the one that is refused stands alone. */
  get isProbing(): boolean {
    return this.#probeUntil !== undefined;
  }

  /** Something was appended: read it within `lateMs`, at once when a full batch waits. */
  appended(lateMs: number): void {
    this.#dueMonoMs ??= this.#now() + lateMs;
  }

  dueNow(): void {
    if (this.#dueMonoMs !== undefined && !this.isProbing) this.#dueMonoMs = this.#now();
  }

  /** What to read now; what is appended from now on counts anew. */
  read(limits: BatchLimits): Read {
    const again = this.#again[0];
    if (again) {
      const maxEvents = Math.min(limits.maxEvents, again.last - again.first + 1);
      return { after: { epoch: again.epoch, seq: again.first - 1 }, limits: { ...limits, maxEvents }, again };
    }
    this.#dueMonoMs = undefined;
    return { after: this.#cursor, limits: this.isProbing ? { ...limits, maxEvents: 1 } : limits, again: undefined };
  }

  /** There is nothing where it was read. */
  nothing({ again }: Read): void {
    if (again) this.#again = this.#again.filter((range) => range !== again);
    else this.#options.suspects.returned(this.lane);
  }

  sent(batch: Batch, { again }: Read): InFlight {
    const entry: InFlight = { batch, sentMonoMs: this.#now(), answer: 'none' };
    this.#inFlight.push(entry);
    if (this.#options.custody === 'consumer') this.#published(batch);
    if (again) {
      const rest = batch.last < again.last ? [{ ...again, first: batch.last + 1 }] : [];
      this.#again = [...rest, ...this.#again.filter((range) => range !== again)];
      return entry;
    }
    this.#cursor = { epoch: batch.epoch, seq: batch.last };
    // a probe waits for its answer
    if (batch.more && !this.isProbing) this.#dueMonoMs ??= this.#now();
    return entry;
  }

  /** @returns batches that can be removed now: those before the first that has no answer, or was refused */
  acknowledged(entry: InFlight): readonly Batch[] {
    entry.answer = 'acknowledged';
    if (this.#options.custody === 'consumer') {
      this.#inFlight = this.#inFlight.filter((other) => other !== entry);
      if (!this.#isRefused) this.#probed(entry.batch);
      this.#settle();
      return [];
    }
    const open = this.#inFlight.findIndex(({ answer }) => answer !== 'acknowledged');
    const done = this.#inFlight.splice(0, open < 0 ? this.#inFlight.length : open).map(({ batch }) => batch);
    const last = done.at(-1);
    if (last) this.#removed = { epoch: last.epoch, seq: last.last };
    if (!this.#isRefused && last) this.#probed(last);
    this.#settle();
    return done;
  }

  /** It stays in the outbox, and is offered again after a while. */
  refused(entry: InFlight): void {
    entry.answer = 'refused';
    this.#isRefused = true;
    const { epoch, last } = entry.batch;
    if (!this.isProbing || this.#probeUntil === 'next') this.#probeUntil = { epoch, seq: last };
    this.#settle();
  }

  /** What the consumer has now. */
  committed(epoch: string, ack: LaneAck): void {
    if (this.#uncommitted.committed(epoch, ack)) this.#progress();
    const isRead = (range: Range): boolean => epoch !== this.#cursor?.epoch || range.first <= this.#cursor.seq;
    const lacking = this.#uncommitted.lacking(epoch, ack, this.#now()).filter(isRead);
    const isNew = (range: Range): boolean => !this.#again.some((waiting) => overlaps(waiting, range));
    if (!this.#isStalled && !this.#isRefused) this.#again.push(...lacking.filter(isNew));
  }

  /** The consumer has said nothing for long: from the first that waits, one publish until it does. */
  stalled(): void {
    this.#isStalled = true;
    this.#rewind();
    this.#dueMonoMs = this.#now();
    this.#stallMonoMs = this.#now() + this.#stallBackoff.nextMs();
  }

  #now(): number {
    return this.#options.clock.monoMs();
  }

  #published(batch: Batch): void {
    const now = this.#now();
    if (this.#uncommitted.count === 0 && !this.#isStalled) this.#stallMonoMs = now + stall.minMs;
    this.#uncommitted.add(batch, now);
  }

  #progress(): void {
    this.#stallBackoff.reset();
    this.#stallMonoMs = this.#now() + stall.minMs;
    if (this.#isStalled) this.#dueMonoMs = this.#now();
    this.#isStalled = false;
  }

  #probed({ epoch, last }: Batch): void {
    const until = this.#probeUntil;
    if (until === undefined) return;
    const isOver = until === 'next' || until.epoch !== epoch || last >= until.seq;
    if (isOver) this.#probeUntil = undefined;
    this.#backoff.reset();
    this.#dueMonoMs = this.#now();
  }

  #settle(): void {
    if (!this.#isRefused || this.#inFlight.some(({ answer }) => answer === 'none')) return;
    // What was acknowledged behind the refused one is sent again: its identity lets the consumer ignore it.
    this.#inFlight = [];
    this.#isRefused = false;
    this.#rewind();
    this.#dueMonoMs = this.#now() + this.#backoff.nextMs();
  }

  #rewind(): void {
    this.#again = [];
    this.#uncommitted.clear();
    this.#cursor = this.#options.suspects.passOver(this.lane) ?? this.#removed;
  }
}

/**
 * The store as the writer thread has it: a Job in, one transaction, an Answer out.
 *
 *   appends, acks -> BEGIN … COMMIT (fsync) -> peeks
 *     disk full: the reserve lets the log move into the database, which then stops growing: new events take the place
 *     of old ones, in the declared order
 */
import { isDiskFull, type Sqlite, sqliteCode, type Statement, toStoreError } from '#agent/core/sqlite.ts';
import { systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { Batches } from './batches.ts';
import { hasPlenty, isProtected, needOf } from './budget.ts';
import { type DamagedEvents, DamagedRows } from './damaged-rows.ts';
import type {
  AckRequest,
  Answer,
  Appends,
  Failure,
  Job,
  Moment,
  PeekedBatch,
  PeekRequest,
  Refusal,
} from './protocol.ts';
import type { Reserve } from './reserve.ts';
import { Rows } from './rows.ts';
import type { Slots } from './slots.ts';

export interface StoreOptions {
  readonly path: string;
  readonly origin: Origin;
  readonly maxSizeBytes: number;
  readonly reserve: Reserve;
}

type Written = Pick<Answer, 'seqs' | 'refused' | 'acks' | 'broken'>;

/** One append of a Job: a stretch of its side by side arrays. */
interface Stretch {
  readonly lanes: readonly Lane[];
  readonly from: number;
  readonly bytes: number;
}

/** How much is given up at once when the disk is full. */
const fullGoalBytes = 256 * 1024;

const expireEveryMs = 1_000;

/** Its two syncs are then a small part of theirs. */
const commitsACheckpoint = 16;
/** About 2 ms in which an alarm waits; with fewer the syncs would count. */
const pagesACheckpoint = 192;

/** SQLite’s own limit. */
const mostPages = 4_294_967_294;

export class Store {
  readonly #db: Sqlite;
  readonly #slots: Slots;
  readonly #rows: Rows;
  readonly #batches: Batches;
  readonly #options: StoreOptions;
  readonly #begin: Statement<[]>;
  readonly #end: Statement<[]>;
  #given = 0;
  /** Of damaged events, in transactions of their own. */
  #discarded = 0;
  #commits = 0;
  /** As it was up to the last checkpoint. */
  #pagesACommit = 0;
  #commitMs = 0;
  #expiredMonoMs = Number.NEGATIVE_INFINITY;

  constructor(db: Sqlite, slots: Slots, options: StoreOptions) {
    this.#db = db;
    this.#slots = slots;
    this.#options = options;
    this.#rows = new Rows(db, slots, options.origin);
    this.#batches = new Batches(db, slots);
    this.#begin = db.prepare<[]>('BEGIN IMMEDIATE');
    this.#end = db.prepare<[]>('COMMIT');
  }

  run(job: Job): Answer {
    this.#given = 0;
    this.#discarded = 0;
    this.#commitMs = 0;
    const written = this.#write(job);
    return {
      ...written,
      ...this.#peek(job, written.broken),
      counters: this.#slots.changes(),
      dropped: this.#given + this.#discarded,
      commitMs: this.#commitMs,
    };
  }

  #write(job: Job): Written {
    const expires = this.#expiryIsDue(job.now);
    if (!expires && job.appends.counts.length === 0 && job.acks.length === 0) return nothingWritten;
    const stretches = stretchesOf(job.appends);
    try {
      return this.#transact(job, stretches, 0);
    } catch (thrown) {
      return isDiskFull(thrown) ? this.#writeOnFullDisk(job, stretches, thrown) : this.#refuse(job, thrown);
    }
  }

  #writeOnFullDisk(job: Job, stretches: readonly Stretch[], first: unknown): Written {
    let thrown = first;
    for (const attempt of this.#attempts(job, stretches)) {
      try {
        return attempt();
      } catch (error) {
        thrown = error;
        if (!isDiskFull(error)) break;
      }
    }
    return this.#refuse(job, thrown);
  }

  #refuse(job: Job, thrown: unknown): Written {
    const failure = asFailure(toStoreError(thrown, this.#options.path));
    return { ...refusal(job, failure), broken: !isDiskFull(thrown) };
  }

  /** What is tried, one after the other. */
  #attempts(job: Job, stretches: readonly Stretch[]): (() => Written)[] {
    const goalBytes = Math.max(fullGoalBytes, 2 * stretches.reduce((sum, { bytes }) => sum + bytes, 0));
    return [
      () => {
        this.#stopGrowing();
        return this.#transact(job, stretches, 0);
      },
      () => this.#transact(job, stretches, goalBytes),
      () => this.#transact(job, stretches, goalBytes, isProtectedStretch),
    ];
  }

  /**
   * The log moves into the database, for which the reserve has room, and is written over from its start. From then on
   * new events take the place of old ones, until there is space again.
   */
  #stopGrowing(): void {
    this.#options.reserve.release();
    this.#db.pragma('wal_checkpoint(RESTART)');
    this.#db.pragma(`max_page_count = ${Number(this.#db.pragma('page_count', { simple: true }))}`);
  }

  /** Between two Jobs, when the one before was answered: nobody waits for it. */
  tend(monoMs: number): void {
    const pages = this.#commits * this.#pagesACommit;
    if (this.#commits >= commitsACheckpoint || pages >= pagesACheckpoint) this.#checkpoint();
    this.restoreReserve(monoMs);
  }

  /**
   * Little and often: an append that comes meanwhile waits for a few pages, not for the whole log. What cannot be moved
   * now stays in the log, where it is as safe; SQLite tries itself when the log is full, in the commit that makes it so.
   */
  #checkpoint(): void {
    const commits = this.#commits;
    this.#commits = 0;
    try {
      const [moved] = this.#db.pragma('wal_checkpoint(PASSIVE)') as readonly { readonly checkpointed: number }[];
      this.#pagesACommit = Math.max(0, moved?.checkpointed ?? 0) / Math.max(1, commits);
    } catch (thrown) {
      if (sqliteCode(thrown) === '') throw thrown;
    }
  }

  /** Takes the reserve again when the disk has room. */
  restoreReserve(monoMs: number): void {
    if (this.#options.reserve.restore(monoMs)) this.#db.pragma(`max_page_count = ${mostPages}`);
  }

  /**
   * Damaged rows in its way are given up first.
   *
   * @param takes which appends are stored; the others are refused for want of room
   */
  #transact(
    job: Job,
    stretches: readonly Stretch[],
    giveUpBytes: number,
    takes: (stretch: Stretch) => boolean = () => true,
  ): Written {
    return this.#aroundDamage(job.now, () => this.#transactOnce(job, stretches, giveUpBytes, takes));
  }

  #transactOnce(
    job: Job,
    stretches: readonly Stretch[],
    giveUpBytes: number,
    takes: (stretch: Stretch) => boolean,
  ): Written {
    this.#slots.remember();
    this.#given = 0;
    try {
      this.#begin.run();
      for (const ack of job.acks) this.#acknowledge(ack, job.now);
      if (this.#expiryIsDue(job.now)) this.#given += this.#rows.expire(job.now);
      if (giveUpBytes > 0) this.#giveUpFor(stretches.filter(takes), giveUpBytes, job.now);
      const seqs: number[] = [];
      const refused: Refusal[] = [];
      for (const [index, stretch] of stretches.entries()) {
        const failure = takes(stretch) ? this.#makeRoom(stretch, job.now) : diskFull(this.#options.path);
        if (failure) {
          refused.push({ append: index, failure: asFailure(failure) });
          seqs.push(...stretch.lanes.map(() => 0));
        } else this.#append(stretch, job.appends, seqs);
      }
      this.#rows.flush();
      this.#slots.persist();
      this.#commit();
      this.#expiredMonoMs = Math.max(this.#expiredMonoMs, job.now.monoMs);
      return { seqs, refused, acks: undefined, broken: false };
    } catch (thrown) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#rows.forget();
      this.#slots.restore();
      this.#given = 0;
      throw thrown;
    }
  }

  #expiryIsDue({ monoMs }: Moment): boolean {
    return monoMs - this.#expiredMonoMs >= expireEveryMs;
  }

  #commit(): void {
    const before = systemClock.monoMs();
    this.#end.run();
    this.#commits += 1;
    this.#commitMs = systemClock.monoMs() - before;
  }

  #append(
    { lanes: of, from }: Stretch,
    { bytes: memory, offsets, seqs: expected, monoMs, lifeMs }: Appends,
    seqs: number[],
  ): void {
    const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    for (let n = from; n < from + of.length; n += 1) {
      const [begin, second, end] = [offsets[2 * n] ?? 0, offsets[2 * n + 1] ?? 0, offsets[2 * n + 2] ?? 0];
      const event = { bytes, begin, second, end, seq: expected[n] ?? 0 };
      const slot = this.#slots.current(of[n - from] ?? 'event');
      seqs.push(this.#rows.append(slot, event, monoMs[n] ?? 0, { lifeMs: lifeMs[n] }));
    }
  }

  /** @returns why there is none */
  #makeRoom({ lanes: incoming, bytes }: Stretch, now: Moment): OutpostError | undefined {
    const { maxSizeBytes } = this.#options;
    if (hasPlenty(bytes, this.#slots.totalBytes, maxSizeBytes)) return undefined;
    const { overBytes, goalBytes, from } = needOf(incoming, bytes, this.#slots.totalBytes, maxSizeBytes);
    if (overBytes <= 0) return undefined;
    if (this.#availableBytes(from) < overBytes) return this.#full(bytes);
    this.#given += this.#rows.giveUp(from, goalBytes, 'budget', now);
    return undefined;
  }

  #giveUpFor(stretches: readonly Stretch[], bytes: number, now: Moment): void {
    const { from } = needOf(
      stretches.flatMap(({ lanes: of }) => of),
      0,
      0,
      this.#options.maxSizeBytes,
    );
    this.#given += this.#rows.giveUp(from, bytes, 'disk-full', now);
  }

  #availableBytes(from: readonly Lane[]): number {
    return from.flatMap((lane) => this.#slots.of(lane)).reduce((sum, slot) => sum + slot.bytes, 0);
  }

  #acknowledge({ epoch, lane, upto, missing, isPoison }: AckRequest, now: Moment): void {
    const slot = this.#slots.find(epoch, lane);
    if (!slot) return;
    if (isPoison === undefined) this.#rows.acknowledge(slot, upto, missing);
    else if (!isProtected(lane)) this.#rows.setAside(slot, upto, now);
  }

  #peek({ peeks, now }: Job, broken: boolean): Pick<Answer, 'peeks' | 'broken'> {
    if (broken) return { peeks: peeks.map(() => []), broken };
    try {
      return { peeks: peeks.map((request) => this.#peekMany(request, now)), broken };
    } catch (thrown) {
      return { peeks: asFailure(toStoreError(thrown, this.#options.path)), broken: !isDiskFull(thrown) };
    }
  }

  #peekMany(request: PeekRequest, now: Moment): PeekedBatch[] {
    const batches: PeekedBatch[] = [];
    let { after } = request;
    while (batches.length < request.count) {
      const batch = this.#peekSound({ ...request, after }, now);
      if (!batch) break;
      batches.push(batch);
      if (!batch.more) break;
      after = { epoch: batch.epoch, seq: batch.last };
    }
    return batches;
  }

  #peekSound(request: PeekRequest, now: Moment): PeekedBatch | undefined {
    return this.#aroundDamage(now, () => this.#batches.peek(request));
  }

  /** What is damaged is mended, or given up and declared; what lies around it is used. */
  #aroundDamage<Result>(now: Moment, deed: () => Result): Result {
    for (;;) {
      try {
        return deed();
      } catch (thrown) {
        if (!(thrown instanceof DamagedRows)) throw thrown;
        this.#discard(thrown.events, now);
      }
    }
  }

  #discard(damaged: readonly DamagedEvents[], now: Moment): void {
    this.#slots.remember();
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const bytes = this.#rows.discardDamaged(this.#rows.mend(damaged), now);
      this.#rows.flush();
      this.#slots.persist();
      this.#db.exec('COMMIT');
      this.#discarded += bytes;
    } catch (thrown) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#rows.forget();
      this.#slots.restore();
      throw thrown;
    }
  }

  #full(bytes: number): OutpostError {
    const { path, maxSizeBytes } = this.#options;
    return new OutpostError('outbox-full', undefined, {
      context: { path, maxSizeBytes, waitingBytes: this.#slots.totalBytes, bytes },
    });
  }
}

const nothingWritten: Written = { seqs: [], refused: [], acks: undefined, broken: false };

function stretchesOf({ counts, lanes: indexes, offsets }: Appends): Stretch[] {
  let from = 0;
  return counts.map((count) => {
    const of: Lane[] = [];
    for (let n = from; n < from + count; n += 1) of.push(lanes[indexes[n] ?? 0] ?? 'event');
    const stretch = { lanes: of, from, bytes: (offsets[2 * (from + count)] ?? 0) - (offsets[2 * from] ?? 0) };
    from += count;
    return stretch;
  });
}

const isProtectedStretch = ({ lanes: of }: Stretch): boolean => of.every(isProtected);

/** Everything of a Job that writes, refused for one reason. */
export const refusal = ({ appends }: Job, failure: Failure): Pick<Answer, 'seqs' | 'refused' | 'acks'> => ({
  seqs: appends.lanes.map(() => 0),
  refused: appends.counts.map((_count, append) => ({ append, failure })),
  acks: failure,
});

const diskFull = (path: string): OutpostError =>
  new OutpostError('outbox-full', 'The disk is full; what is left is kept for alarms and submissions.', {
    context: { path },
    hint: 'Free space on the disk; what is stored stays.',
  });

export const asFailure = ({ code, message, hint, context }: OutpostError): Failure => ({
  code,
  message,
  hint,
  context,
});

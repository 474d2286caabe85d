/**
 * The store as the writer thread has it: a Job in, one transaction, an Answer out.
 *
 *   appends, acks -> BEGIN … COMMIT (fsync) -> peeks
 *     disk full: the reserve lets the log move into the database, which then stops growing: new events take the place
 *     of old ones, in the declared order
 */
import { isDiskFull, type Sqlite, toStoreError } from '#agent/core/sqlite.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { Batches } from './batches.ts';
import { isProtected, needOf } from './budget.ts';
import type { AckRequest, Answer, AppendRequest, Failure, Job, Moment, PeekRequest } from './protocol.ts';
import type { Reserve } from './reserve.ts';
import { Rows } from './rows.ts';
import type { Slots } from './slots.ts';

export interface StoreOptions {
  readonly path: string;
  readonly origin: Origin;
  readonly maxSizeBytes: number;
  readonly reserve: Reserve;
}

type Written = Pick<Answer, 'appends' | 'acks' | 'broken'>;

/** How much is given up at once when the disk is full. */
const fullGoalBytes = 256 * 1024;

/** Bytes that the envelope adds around the texts: head and both sequence numbers. */
const aroundBytes = 96;

/** SQLite’s own limit. */
const mostPages = 4_294_967_294;

export class Store {
  readonly #db: Sqlite;
  readonly #slots: Slots;
  readonly #rows: Rows;
  readonly #batches: Batches;
  readonly #options: StoreOptions;
  #given = 0;

  constructor(db: Sqlite, slots: Slots, options: StoreOptions) {
    this.#db = db;
    this.#slots = slots;
    this.#options = options;
    this.#rows = new Rows(db, slots, options.origin);
    this.#batches = new Batches(db, slots);
  }

  run(job: Job): Answer {
    this.#given = 0;
    const written = this.#write(job);
    return { ...written, ...this.#peek(job.peeks, written.broken), slots: this.#slots.state(), dropped: this.#given };
  }

  #write(job: Job): Written {
    if (job.appends.length === 0 && job.acks.length === 0) return { appends: [], acks: undefined, broken: false };
    let thrown: unknown;
    for (const attempt of this.#attempts(job)) {
      try {
        return attempt();
      } catch (error) {
        thrown = error;
        if (!isDiskFull(error)) break;
      }
    }
    const failure = asFailure(toStoreError(thrown, this.#options.path));
    return { appends: job.appends.map(() => failure), acks: failure, broken: !isDiskFull(thrown) };
  }

  /** What is tried, one after the other, while the disk is full. */
  #attempts(job: Job): (() => Written)[] {
    const goalBytes = Math.max(fullGoalBytes, 2 * job.appends.reduce((sum, append) => sum + bytesOf(append), 0));
    return [
      () => this.#transact(job, 0),
      () => {
        this.#stopGrowing();
        return this.#transact(job, 0);
      },
      () => this.#transact(job, goalBytes),
      () => this.#transact(job, goalBytes, isProtectedAppend),
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

  /** Between two Jobs: takes the reserve again when the disk has room. */
  restoreReserve(monoMs: number): void {
    if (this.#options.reserve.restore(monoMs)) this.#db.pragma(`max_page_count = ${mostPages}`);
  }

  /** @param takes which appends are stored; the others are refused for want of room */
  #transact(job: Job, giveUpBytes: number, takes: (append: AppendRequest) => boolean = () => true): Written {
    this.#slots.remember();
    this.#given = 0;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      for (const ack of job.acks) this.#acknowledge(ack);
      if (giveUpBytes > 0) {
        const incoming = job.appends.filter(takes).flatMap(lanesOf);
        const { from } = needOf(incoming, 0, 0, this.#options.maxSizeBytes);
        this.#given += this.#rows.giveUp(from, giveUpBytes, 'disk-full', job.now);
      }
      const appends = job.appends.map((request) =>
        takes(request) ? this.#append(request, job.now) : asFailure(diskFull(this.#options.path)),
      );
      this.#slots.persist();
      this.#db.exec('COMMIT');
      return { appends, acks: undefined, broken: false };
    } catch (thrown) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#slots.restore();
      this.#given = 0;
      throw thrown;
    }
  }

  #append(request: AppendRequest, now: Moment): readonly number[] | Failure {
    const { monoMs, texts } = request;
    const { maxSizeBytes } = this.#options;
    const incoming = lanesOf(request);
    const bytes = bytesOf(request);
    const { overBytes, goalBytes, from } = needOf(incoming, bytes, this.#slots.totalBytes, maxSizeBytes);
    if (overBytes > 0) {
      if (this.#availableBytes(from) < overBytes) return asFailure(this.#full(bytes));
      this.#given += this.#rows.giveUp(from, goalBytes, 'budget', now);
    }
    return incoming.map((lane, index) => {
      const event = { middle: texts[2 * index] ?? '', tail: texts[2 * index + 1] ?? '' };
      return this.#rows.append(this.#slots.current(lane), event, monoMs[index] ?? 0);
    });
  }

  #availableBytes(from: readonly Lane[]): number {
    return from.flatMap((lane) => this.#slots.of(lane)).reduce((sum, slot) => sum + slot.bytes, 0);
  }

  #acknowledge({ epoch, lane, upto, missing }: AckRequest): void {
    const slot = this.#slots.find(epoch, lane);
    if (slot) this.#rows.acknowledge(slot, upto, missing);
  }

  #peek(requests: readonly PeekRequest[], broken: boolean): Pick<Answer, 'peeks' | 'broken'> {
    if (broken) return { peeks: requests.map(() => undefined), broken };
    try {
      return { peeks: requests.map((request) => this.#batches.peek(request)), broken };
    } catch (thrown) {
      return { peeks: asFailure(toStoreError(thrown, this.#options.path)), broken: true };
    }
  }

  #full(bytes: number): OutpostError {
    const { path, maxSizeBytes } = this.#options;
    return new OutpostError('outbox-full', undefined, {
      context: { path, maxSizeBytes, waitingBytes: this.#slots.totalBytes, bytes },
    });
  }
}

/** An upper bound of what is stored. */
const bytesOf = ({ lanes: indexes, texts }: AppendRequest): number =>
  texts.reduce((sum, text) => sum + Buffer.byteLength(text), aroundBytes * indexes.length);

const lanesOf = ({ lanes: indexes }: AppendRequest): Lane[] => indexes.map((index) => lanes[index] ?? 'event');

const isProtectedAppend = (append: AppendRequest): boolean => lanesOf(append).every(isProtected);

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

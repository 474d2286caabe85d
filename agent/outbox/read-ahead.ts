/**
 * Batches read before they are asked for, so that emptying a lane does not stop behind a commit.
 *
 *   peek after 64 -> [65..128] [129..192] … kept here, read on when half are gone
 *   a lane read from elsewhere, something given up, or a new store -> forgotten
 */
import type { Lane } from '#agent/domain/lane.ts';
import type { PeekedBatch, PeekRequest } from './protocol.ts';

/** Batches kept for a lane. Reading them is one piece of work, and an alarm that comes meanwhile waits for all of it. */
const most = 4;

type Ask = Omit<PeekRequest, 'count'>;

interface Kept {
  /** What will be asked for next. */
  readonly ask: Ask;
  /** The same array while one reads on: another one means that what is being read is not wanted any more. */
  readonly batches: PeekedBatch[];
}

export class ReadAhead {
  readonly #read: (request: PeekRequest) => Promise<readonly PeekedBatch[]>;
  readonly #kept = new Map<Lane, Kept>();
  readonly #reading = new WeakSet<PeekedBatch[]>();

  constructor(read: (request: PeekRequest) => Promise<readonly PeekedBatch[]>) {
    this.#read = read;
  }

  /** The next batch after a place. */
  async peek(ask: Ask): Promise<PeekedBatch | undefined> {
    const kept = this.#kept.get(ask.lane);
    const [next] = kept?.batches ?? [];
    if (kept && next && isSame(kept.ask, ask)) {
      kept.batches.shift();
      this.#go(kept, next);
      return next;
    }
    this.#kept.delete(ask.lane);
    // One who reads on where the last batch ended is emptying the lane.
    const count = kept !== undefined && isSame(kept.ask, ask) ? most : 1;
    const begun: Kept = { ask, batches: [] };
    this.#kept.set(ask.lane, begun);
    const [first, ...rest] = await this.#read({ ...ask, count });
    if (!first) return undefined;
    begun.batches.push(...rest);
    if (this.#kept.get(ask.lane) === begun) this.#go(begun, first);
    return first;
  }

  forget(lane?: Lane): void {
    if (lane === undefined) this.#kept.clear();
    else this.#kept.delete(lane);
  }

  /** What lies up to here is gone. */
  acknowledged(lane: Lane, epoch: string, upto: number): void {
    const next = this.#kept.get(lane)?.batches[0];
    if (next && (next.epoch !== epoch || next.first <= upto)) this.forget(lane);
  }

  /** The next is asked for behind `batch`; reads on while half are left. */
  #go({ ask, batches }: Kept, batch: PeekedBatch): void {
    const kept: Kept = { ask: { ...ask, after: endOf(batch) }, batches };
    this.#kept.set(ask.lane, kept);
    const last = batches.at(-1);
    if (last?.more !== true || batches.length > most / 2) return;
    void this.#readOn(batches, { ...ask, after: endOf(last), count: most / 2 });
  }

  async #readOn(batches: PeekedBatch[], request: PeekRequest): Promise<void> {
    if (this.#reading.has(batches)) return;
    this.#reading.add(batches);
    try {
      const more = await this.#read(request);
      if (this.#kept.get(request.lane)?.batches === batches) batches.push(...more);
    } catch {
      // whoever asks for the next batch is told
      this.forget(request.lane);
    } finally {
      this.#reading.delete(batches);
    }
  }
}

const endOf = ({ epoch, last }: PeekedBatch): { epoch: string; seq: number } => ({ epoch, seq: last });

const isSame = (one: Ask, other: Ask): boolean =>
  one.maxEvents === other.maxEvents &&
  one.maxBytes === other.maxBytes &&
  one.after?.epoch === other.after?.epoch &&
  one.after?.seq === other.after?.seq;

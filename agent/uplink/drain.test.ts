import { describe, expect, it } from 'vitest';
import { OutpostError } from '#agent/core/errors.ts';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Drain } from './drain.ts';
import type { Batch, BatchLimits, Position, Source } from './source.ts';
import { Suspects } from './suspects.ts';

const epoch = 'e';

/** A lane in memory. */
class MemorySource implements Source {
  readonly epoch = epoch;
  readonly boot = 1;
  readonly waiting: Set<number>;
  readonly aside: number[] = [];
  readonly lane: Lane;

  constructor(count: number, lane: Lane = 'event') {
    this.lane = lane;
    this.waiting = new Set(Array.from({ length: count }, (_none, index) => index + 1));
  }

  get slots() {
    const { lane } = this;
    const depth = this.waiting.size;
    return [{ epoch, lane, first: Math.min(...this.waiting), last: 1_000, depth, bytes: 100 * depth }];
  }

  async peek(lane: Lane, after: Position | undefined, { maxEvents }: BatchLimits): Promise<Batch | undefined> {
    const seqs = [...this.waiting].filter((seq) => seq > (after?.seq ?? 0)).toSorted((a, b) => a - b);
    const taken = seqs.slice(0, maxEvents);
    const [first, last] = [taken[0], taken.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const bytes = Buffer.from(JSON.stringify(taken));
    return await Promise.resolve({
      lane,
      epoch,
      first,
      last,
      count: taken.length,
      bytes,
      more: seqs.length > maxEvents,
    });
  }

  async ack(_lane: Lane, upto: Position): Promise<void> {
    for (const seq of this.waiting) if (seq <= upto.seq) this.waiting.delete(seq);
    await Promise.resolve();
  }

  async setAside(_lane: Lane, { seq }: Position): Promise<void> {
    this.aside.push(seq);
    this.waiting.delete(seq);
    await Promise.resolve();
  }

  onAppend(): () => void {
    return () => undefined;
  }

  onTakenOver(): () => void {
    return () => undefined;
  }
}

/** Reads ahead: what was appended since is not in the batch's `more`. */
class LateSource extends MemorySource {
  override async peek(lane: Lane, after: Position | undefined, limits: BatchLimits): Promise<Batch | undefined> {
    const batch = await super.peek(lane, after, limits);
    return batch && { ...batch, more: false };
  }
}

/** Its first ten numbers are of an older epoch, and what is removed takes a while. */
class TwoEpochs extends MemorySource {
  readonly #clock: ManualClock;
  readonly #older = 10;

  constructor(count: number, clock: ManualClock) {
    super(count);
    this.#clock = clock;
  }

  override async peek(lane: Lane, after: Position | undefined, limits: BatchLimits): Promise<Batch | undefined> {
    const batch = await super.peek(lane, after, limits);
    if (!batch || batch.first > this.#older) return batch;
    const last = Math.min(batch.last, this.#older);
    const taken = [...this.waiting].filter((seq) => seq >= batch.first && seq <= last);
    const bytes = Buffer.from(JSON.stringify(taken));
    return { ...batch, epoch: 'older', last, count: taken.length, bytes, more: true };
  }

  override async ack(_lane: Lane, upto: Position): Promise<void> {
    await this.#clock.sleep(500);
    const isOlder = (seq: number): boolean => seq <= this.#older;
    for (const seq of this.waiting) {
      if (seq <= upto.seq && isOlder(seq) === (upto.epoch === 'older')) this.waiting.delete(seq);
    }
  }
}

interface Run {
  readonly source: MemorySource;
  readonly taken: number[];
  readonly seconds: number;
}

/** @param answer a reason code, or what ends the line */
async function drain(
  source: MemorySource,
  answer: (seqs: readonly number[], second: number) => number | OutpostError,
  seconds = 600,
  clock = new ManualClock(),
): Promise<Run> {
  const suspects = new Suspects();
  const taken: number[] = [];
  const ending = new AbortController();
  let second = 0;
  const publish = async (_topic: string, payload: Uint8Array): Promise<number> => {
    const seqs = JSON.parse(Buffer.from(payload).toString()) as number[];
    const code = answer(seqs, second);
    if (typeof code !== 'number') throw code;
    if (code === 0) taken.push(...seqs);
    return await Promise.resolve(code);
  };
  const report = { sent: () => {}, acknowledged: () => {}, refused: () => {}, poison: () => {} };
  const lines = (async () => {
    while (!ending.signal.aborted) {
      const line = new Drain({
        source,
        lanes: [source.lane],
        topicOf: () => 't',
        publish,
        limits: { maxEvents: 8, maxBytes: 65_536 },
        window: 4,
        suspects,
        lateMs: 10,
        report,
        clock,
        random: seededRandom(3),
        log: silentLog,
      });
      await line.run(ending.signal).catch(async () => await clock.sleep(1_000, ending.signal).catch(() => undefined));
    }
  })();
  while (source.waiting.size > 0 && second < seconds) {
    await clock.advance(1_000);
    second += 1;
  }
  ending.abort();
  await clock.advance(2_000);
  await lines;
  return { source, taken, seconds: second };
}

const all = (count: number): number[] => Array.from({ length: count }, (_none, index) => index + 1);
const without = (count: number, seq: number): number[] => all(count).filter((other) => other !== seq);
const unique = (seqs: readonly number[]): number[] => [...new Set(seqs)].toSorted((a, b) => a - b);

describe('a broker that never takes one event', () => {
  it('gets the others, and the one is set aside', async () => {
    const run = await drain(new MemorySource(40), (seqs) => (seqs.includes(13) ? 131 : 0));
    expect(run.source.aside).toEqual([13]);
    expect(unique(run.taken)).toEqual(without(40, 13));
    expect(run.source.waiting.size).toBe(0);
  });

  it('by ending the line in good order, too', async () => {
    const error = new OutpostError('broker-closed', undefined, { context: { orderly: true } });
    const run = await drain(new MemorySource(40), (seqs) => (seqs.includes(13) ? error : 0));
    expect(run.source.aside).toEqual([13]);
    expect(unique(run.taken)).toEqual(without(40, 13));
  });

  it('keeps an alarm that is never taken', async () => {
    const run = await drain(new MemorySource(5, 'alarm'), (seqs) => (seqs.includes(2) ? 131 : 0), 300);
    expect(run.source.aside).toEqual([]);
    expect(run.source.waiting.has(2)).toBe(true);
  });
});

describe('a store that has read ahead', () => {
  it('is emptied without another append, although its batches know of nothing behind them', async () => {
    const run = await drain(new LateSource(100), () => 0, 60);
    expect(run.taken).toEqual(all(100));
    expect(run.source.waiting.size).toBe(0);
  });
});

describe('an older epoch', () => {
  it('is removed to its end, although the next one is acknowledged before that is done', async () => {
    const clock = new ManualClock();
    const run = await drain(new TwoEpochs(30, clock), () => 0, 60, clock);
    expect(run.source.waiting).toEqual(new Set());
    expect(run.taken).toEqual(all(30));
  });
});

describe('nothing is given up', () => {
  it('when the broker refuses everything for an hour', async () => {
    const run = await drain(new MemorySource(40), (_seqs, second) => (second < 3_600 ? 131 : 0), 5_000);
    expect(run.source.aside).toEqual([]);
    expect(unique(run.taken)).toEqual(all(40));
  });

  it.each([16, 135, 151])('when an event gets reason %i, which is not about it', async (code) => {
    const run = await drain(
      new MemorySource(20),
      (seqs, second) => (second < 900 && seqs.includes(7) ? code : 0),
      2_000,
    );
    expect(run.source.aside).toEqual([]);
    expect(unique(run.taken)).toEqual(all(20));
  });

  it('when the line is cut again and again by silence or resets', async () => {
    const error = new OutpostError('broker-silent');
    const run = await drain(
      new MemorySource(20),
      (seqs, second) => (second < 300 && seqs.includes(7) ? error : 0),
      2_000,
    );
    expect(run.source.aside).toEqual([]);
    expect(unique(run.taken)).toEqual(all(20));
  });

  it('when a broker comes and goes in good order', async () => {
    const error = new OutpostError('broker-closed', undefined, { context: { orderly: true } });
    const run = await drain(new MemorySource(60), (_seqs, second) => (second % 3 === 0 ? error : 0), 2_000);
    expect(run.source.aside).toEqual([]);
    expect(unique(run.taken)).toEqual(all(60));
  });
});

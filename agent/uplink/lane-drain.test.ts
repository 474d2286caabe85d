import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LaneAck, SeqRange } from '#agent/domain/ack.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { seededRandom } from '#agent/core/random.ts';
import { LaneDrain, type Read } from './lane-drain.ts';
import type { Batch } from './source.ts';
import { Suspects } from './suspects.ts';

const limits = { maxEvents: 4, maxBytes: 64_000 };
const epoch = 'e';

/** A store, a broker that loses, and a consumer that tells what it has: all of one lane. */
class World {
  readonly clock = new ManualClock();
  readonly store = new Set<number>();
  readonly consumer = new Set<number>();
  readonly #suspects = new Suspects();
  published = 0;
  drain = this.#connect();

  #connect(): LaneDrain {
    const { clock } = this;
    return new LaneDrain({
      lane: 'event',
      custody: 'consumer',
      suspects: this.#suspects,
      clock,
      random: seededRandom(1),
    });
  }

  reconnect(): void {
    this.drain = this.#connect();
  }

  peek({ after, limits: { maxEvents } }: Read): Batch | undefined {
    const seqs = [...this.store].filter((seq) => seq > (after?.seq ?? 0)).toSorted((a, b) => a - b);
    const taken = seqs.slice(0, maxEvents);
    const [first, last] = [taken[0], taken.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const more = seqs.length > taken.length;
    return { lane: 'event', epoch, first, last, count: taken.length, bytes: new Uint8Array(), more };
  }

  /** Publishes once, when there is something due. */
  step(arrives: boolean): boolean {
    if ((this.drain.stallMonoMs ?? Infinity) <= this.clock.monoMs()) this.drain.stalled();
    if ((this.drain.dueMonoMs ?? Infinity) > this.clock.monoMs()) return false;
    const read = this.drain.read(limits);
    const batch = this.peek(read);
    if (!batch || (read.again && batch.first > read.again.last)) {
      this.drain.nothing(read);
      return true;
    }
    const entry = this.drain.sent(batch, read);
    this.published += 1;
    const isOf = (seq: number): boolean => batch.first <= seq && seq <= batch.last;
    if (arrives) for (const seq of [...this.store].filter(isOf)) this.consumer.add(seq);
    this.drain.acknowledged(entry);
    return true;
  }

  say(): LaneAck {
    const upto = Math.max(0, ...this.consumer);
    const missing: SeqRange[] = [];
    for (let seq = 1; seq < upto; seq += 1) {
      if (this.consumer.has(seq)) continue;
      const last = missing.at(-1);
      if (last?.[1] === seq - 1) missing[missing.length - 1] = [last[0], seq];
      else missing.push([seq, seq]);
    }
    return { upto, missing };
  }

  hear(ack: LaneAck): void {
    const isMissing = (seq: number): boolean => ack.missing.some(([first, last]) => first <= seq && seq <= last);
    for (const seq of this.store) {
      if (seq > ack.upto || isMissing(seq)) continue;
      expect(this.consumer.has(seq)).toBe(true);
      this.store.delete(seq);
    }
    this.drain.committed(epoch, ack);
  }
}

const actions = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('step' as const), arrives: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('say' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('hear' as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 20_000 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
  ),
  { maxLength: 120 },
);

describe('custody by a consumer, in one lane', () => {
  it('delivers everything, whatever is lost, late, repeated or cut, and removes nothing that is not committed', async () => {
    await fc.assert(
      fc.asyncProperty(actions, async (script) => {
        const world = new World();
        const said: LaneAck[] = [];
        let last = 0;
        for (const action of script) {
          if (action.do === 'append') for (let n = 0; n < action.count; n += 1) world.store.add((last += 1));
          if (action.do === 'append') world.drain.appended(0);
          else if (action.do === 'step') world.step(action.arrives);
          else if (action.do === 'say') said.push(world.say());
          else if (action.do === 'hear' && said.length > 0) world.hear(said[action.which % said.length] ?? world.say());
          else if (action.do === 'wait') await world.clock.advance(action.ms);
          else if (action.do === 'reconnect') world.reconnect();
        }
        for (let tries = 0; world.store.size > 0 && tries < 500; tries += 1) {
          if (!world.step(true)) await world.clock.advance(1_000);
          world.hear(world.say());
        }
        expect(world.store.size).toBe(0);
        expect(world.consumer.size).toBe(last);
      }),
      { numRuns: 200 },
    );
  });

  it('sends what is missing again, once it is not on its way any more', async () => {
    const world = new World();
    for (let seq = 1; seq <= 12; seq += 1) world.store.add(seq);
    expect([world.step(true), world.step(false), world.step(true), world.step(true)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    world.hear(world.say());
    expect(world.step(true)).toBe(false);
    await world.clock.advance(2_500);
    world.hear(world.say());
    expect([...world.store]).toEqual([5, 6, 7, 8]);
    expect(world.step(true)).toBe(true);
    world.hear(world.say());
    expect(world.store.size).toBe(0);
    expect(world.published).toBe(4);
  });

  it('goes on with one publish at a time while the consumer says nothing', async () => {
    const world = new World();
    for (let seq = 1; seq <= 4_000; seq += 1) world.store.add(seq);
    while (world.step(false));
    const first = world.published;
    expect(first).toBe(128);
    for (let minute = 0; minute < 30; minute += 1) {
      await world.clock.advance(60_000);
      while (world.step(false));
    }
    expect(world.published - first).toBeGreaterThan(4);
    expect(world.published - first).toBeLessThan(40);
    await world.clock.advance(300_000);
    for (let tries = 0; world.store.size > 0 && tries < 3_000; tries += 1) {
      world.step(true);
      world.hear(world.say());
    }
    expect(world.store.size).toBe(0);
  });
});

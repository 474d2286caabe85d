/** Mailboxes, turns, backoff and windows: what waits, for how long, and what is given up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';
import { Mailbox } from './mailbox.ts';
import { seededRandom } from './random.ts';
import { SlidingWindow } from './sliding-window.ts';
import { Turns } from './turns.ts';

describe('a mailbox', () => {
  it('keeps the newest, counts and releases the rest', async () => {
    const dropped: number[] = [];
    const mailbox = new Mailbox<number>({ capacity: 1, overflow: 'drop-oldest', onDrop: (item) => dropped.push(item) });
    for (const item of [1, 2, 3]) mailbox.offer(item);
    expect((await mailbox.next()).value).toBe(3);
    expect(dropped).toEqual([1, 2]);
    expect(mailbox.dropped).toBe(2);
  });

  it('refuses when it is told to', async () => {
    const mailbox = new Mailbox<number>({ capacity: 1, overflow: 'refuse' });
    expect([mailbox.offer(1), mailbox.offer(2)]).toEqual([true, false]);
    mailbox.close();
    expect(await mailbox.next()).toEqual({ done: false, value: 1 });
    expect((await mailbox.next()).done).toBe(true);
    expect(mailbox.offer(3)).toBe(false);
  });

  it('lets a waiting reader go when it is aborted, and loses nothing for the next one', async () => {
    const mailbox = new Mailbox<number>({ capacity: 4, overflow: 'refuse' });
    const stop = new AbortController();
    const waiting = mailbox.next(stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    mailbox.offer(7);
    expect((await mailbox.next()).value).toBe(7);
  });
});

describe('turns', () => {
  it('lets the longest waiting in, never more than there are permits', async () => {
    const turns = new Turns(1);
    const order: string[] = [];
    const first = await turns.take();
    const waiting = ['a', 'b', 'c'].map(async (name) => {
      const turn = await turns.take();
      order.push(name);
      turn[Symbol.dispose]();
      turn[Symbol.dispose]();
    });
    expect(order).toEqual([]);
    first[Symbol.dispose]();
    await Promise.all(waiting);
    expect(order).toEqual(['a', 'b', 'c']);
  });
});

describe('backoff', () => {
  it('grows, keeps within its bounds, and starts again', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 }, seededRandom(seed));
        const waits = Array.from({ length: 40 }, () => backoff.nextMs());
        expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
        expect(Math.max(...waits)).toBeLessThanOrEqual(60_000);
        expect(waits[0]).toBe(1_000);
        backoff.reset();
        expect(backoff.nextMs()).toBe(1_000);
      }),
    );
  });
});

describe('a sliding window', () => {
  it('tells rate and quantiles of the last moments only', () => {
    const window = new SlidingWindow(5_000);
    for (let at = 0; at < 20_000; at += 100) window.add(at, at < 14_900 ? 1_000 : 10);
    expect(window.perSecond(19_900)).toBeCloseTo(10, 0);
    expect(window.quantiles(19_900, [0.5, 0.99])).toEqual([10, 10]);
    expect(window.quantiles(60_000, [0.5])).toBeUndefined();
    expect(window.perSecond(60_000)).toBe(0);
  });
});

/** A writer that sleeps through its bell would never write again. */
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { BellSleeper, newBell } from './bell.ts';

/** Tells a number, then rings, again and again; `pauseMs` lies between two, for each of them in turn. */
const ringer = `
  const { workerData: { bell, told, count, pauses } } = require('node:worker_threads');
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (let n = 1; n <= count; n += 1) {
    const ms = pauses[n % pauses.length];
    if (ms > 0) Atomics.wait(idle, 0, 0, ms);
    Atomics.store(told, 0, n);
    Atomics.add(bell, 0, 1);
    Atomics.notify(bell, 0);
  }
`;

let worker: Worker | undefined;
afterEach(async () => void (await worker?.terminate()));

describe('the bell', () => {
  it.each([
    ['at once', [0], 20_000],
    ['now and then', [1], 200],
    ['both ways', [0, 0, 0, 0.3, 0, 1], 3_000],
    ['now and then, with a long look', [0.3, 0.2, 0.6, 2], 500, true],
  ])('is heard when it rings %s', (_how, pauses, count, isLong = false) => {
    const bell = newBell();
    const told = new Int32Array(new SharedArrayBuffer(4));
    worker = new Worker(ringer, { eval: true, workerData: { bell, told, count, pauses } });
    const sleeper = new BellSleeper(bell);
    let last = 0;
    while (last < count) {
      const next = sleeper.next(() => {
        const now = Atomics.load(told, 0);
        return now > last ? now : undefined;
      }, isLong);
      expect(next).toBeGreaterThan(last);
      last = next;
    }
    expect(last).toBe(count);
  });

  it('is not waited for when there is something already', () => {
    const sleeper = new BellSleeper(newBell());
    const waiting = [1, 2, 3];
    expect([sleeper.next(() => waiting.shift()), sleeper.next(() => waiting.shift())]).toEqual([1, 2]);
  });
});

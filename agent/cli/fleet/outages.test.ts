/** The script of outages: what it means, and what it is not. */
import { expect, it } from 'vitest';
import { isOff, parseOutages } from './outages.ts';

it('takes the devices off the line one after the other, or all at once', () => {
  const each = parseOutages('10s/3s') ?? [];
  const offAt = (share: number): number[] =>
    Array.from({ length: 26 }, (_none, second) => second).filter((second) => isOff(each, second * 1_000, share));
  expect(offAt(0)).toEqual([7, 8, 9, 17, 18, 19]);
  expect(offAt(0.5)).toEqual([12, 13, 14, 22, 23, 24]);
  const both = parseOutages('10s/3s, 1s+1500ms') ?? [];
  expect([0, 1_000, 2_499, 2_500, 7_000].map((ms) => isOff(both, ms, 0))).toEqual([false, true, true, false, true]);
});

it.each(['', '10s', '3s/3s', '3s/4s', '10/3', '10s/0s', '10s/3s,', '10s-3s', '10s/3s/1s'])('refuses %j', (script) => {
  expect(parseOutages(script)).toBeUndefined();
});

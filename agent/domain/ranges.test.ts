import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coarsen, countOf, type Ranges, rangesOf, union, without } from './ranges.ts';

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_none, index) => first + index);
const numbersOf = (ranges: Ranges): number[] => ranges.flatMap(([first, last]) => range(first, last));
const set = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((numbers) => numbers.sort((a, b) => a - b));

describe('ranges', () => {
  it('are sets of numbers', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const both = new Set([...a, ...b]);
        expect(numbersOf(rangesOf(a))).toEqual(a);
        expect(countOf(rangesOf(a))).toBe(a.length);
        expect(numbersOf(union(rangesOf(a), rangesOf(b)))).toEqual([...both].sort((x, y) => x - y));
        expect(numbersOf(without(rangesOf(a), rangesOf(b)))).toEqual(a.filter((number) => !b.includes(number)));
      }),
    );
  });

  it('are joined where they are too many, and hold all that they held', () => {
    fc.assert(
      fc.property(set, fc.integer({ min: 1, max: 10 }), (numbers, most) => {
        const ranges = rangesOf(numbers);
        const fewer = coarsen(ranges, most);
        expect(fewer.length).toBeLessThanOrEqual(most);
        expect(without(ranges, fewer)).toEqual([]);
        if (ranges.length <= most) expect(fewer).toBe(ranges);
      }),
    );
  });
});

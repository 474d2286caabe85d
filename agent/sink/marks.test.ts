import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SeqRange } from '#agent/domain/ack.ts';
import { type Ranges, rangesOf, without } from '#agent/domain/ranges.ts';
import { advance, contiguous, emptyMark, type Mark, mostRanges } from './marks.ts';
import { range } from './test-rig.ts';

const numbersOf = (ranges: Ranges): number[] => ranges.flatMap(([first, last]) => range(first, last));
const set = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((numbers) => numbers.sort((a, b) => a - b));
const anyRange = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 8 }))
  .map(([first, more]): SeqRange => [first, first + more]);

describe('the mark of a lane', () => {
  it('knows what is missing, whatever the order of arrival', () => {
    const step = fc.record({ seqs: set, declared: fc.array(anyRange, { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let mark: Mark = emptyMark;
        const committed = new Set<number>();
        const declared = new Set<number>();
        for (const { seqs, declared: ranges } of steps) {
          mark = advance(mark, seqs, ranges);
          for (const seq of seqs) committed.add(seq);
          for (const number of numbersOf(ranges)) declared.add(number);
        }
        const upto = Math.max(0, ...committed);
        expect(mark.upto).toBe(upto);
        const missing = range(1, upto).filter((number) => !committed.has(number) && !declared.has(number));
        expect(numbersOf(mark.missing)).toEqual(missing);
        expect(contiguous(mark)).toBe((missing[0] ?? upto + 1) - 1);
      }),
    );
  });

  it('stays small when every second number is missing, and heals', () => {
    const odd = range(1, 20_000).filter((number) => number % 2 === 1);
    const even = odd.map((number) => number + 1);
    const mark = advance(emptyMark, odd, []);
    expect(mark.upto).toBe(19_999);
    expect(mark.missing.length).toBeLessThanOrEqual(mostRanges);
    expect(without(rangesOf(even.slice(0, -1)), mark.missing)).toEqual([]);
    // the device sends what is said to be missing; some of it a second time
    const healed = advance(mark, numbersOf(mark.missing), []);
    expect(healed.missing).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { EchoFilter } from './echo.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
/** What is left of each chunk, with an echo of 1 to 6 expected before them. */
function heard(...chunks: readonly number[][]): number[][] {
  const filter = new EchoFilter();
  filter.expect(bytes(1, 2, 3, 4, 5, 6), 0);
  return chunks.map((chunk) => Array.from(filter.filter(bytes(...chunk), 1)));
}

describe('an echo', () => {
  it.each([
    ['at once', [[1, 2, 3, 4, 5, 6]], [[]]],
    ['in pieces', [[1], [2, 3, 4], [5, 6], [7]], [[], [], [], [7]]],
    ['with the answer behind it', [[1, 2, 3, 4, 5, 6, 9, 1]], [[9, 1]]],
    [
      'in pieces, the answer behind the last',
      [
        [1, 2],
        [3, 4, 5, 6, 1, 2],
      ],
      [[], [1, 2]],
    ],
    ['that never comes', [[9, 8]], [[9, 8]]],
    ['that breaks off with the answer behind it', [[1, 2, 3, 9]], [[9]]],
    [
      'that breaks off before the answer',
      [
        [1, 2, 3],
        [9, 5],
      ],
      [[], [9, 5]],
    ],
  ])('%s is taken out', (_how, chunks, left) => {
    expect(heard(...chunks)).toEqual(left);
  });

  it('that breaks off takes nothing of an answer that begins as it would have gone on', () => {
    expect(heard([1, 2, 3], [4, 9, 9], [5, 6])).toEqual([[], [4, 9, 9], [5, 6]]);
  });

  it('is not waited for longer than a second', () => {
    const filter = new EchoFilter();
    filter.expect(bytes(1, 2), 0);
    expect(Array.from(filter.filter(bytes(1, 2), 1_001))).toEqual([1, 2]);
    expect(filter.bytes).toBe(0);
  });

  it('of one more message is taken out with that of the one before', () => {
    const filter = new EchoFilter();
    filter.expect(bytes(1, 2), 0);
    filter.expect(bytes(3, 4), 1);
    expect(Array.from(filter.filter(bytes(1, 2, 3, 4, 5), 2))).toEqual([5]);
    expect(filter.bytes).toBe(4);
  });
});

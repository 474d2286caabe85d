import { expect, test } from 'vitest';
import { at } from './rows.ts';
import { compare } from './sequence.ts';

const flagged = (score: number) => ({ ...at(1, 10 + score, 0), score });

test('numbers ids from 0, orders frames and computes overlaps', () => {
  const { frames, ...counts } = compare([at(9, 40, 0), at(2, 40, 0), at(2, 8, 50)], [at(2, 5, 5), at(3, 6, 0)]);
  expect(counts).toEqual({ objectCount: 2, trackCount: 2, objectBoxes: 3, trackBoxes: 2 });
  expect(frames.map(({ frame }) => frame)).toEqual([2, 3, 9]);
  expect(frames[0]?.objects).toEqual([1, 0]);
  expect(frames[0]?.tracks).toEqual([0]);
  // 5 x 20 shared of 300.
  expect([...(frames[0]?.overlaps ?? [])]).toEqual([1 / 3, 0]);
});

test('true boxes that are flagged 0 do not count, those without a flag do', () => {
  expect(compare([flagged(0), flagged(1), flagged(-1)], []).objectBoxes).toBe(2);
});

test('an id twice in a frame is refused, with the name of the file', () => {
  expect(() => compare([at(1, 1, 0)], [at(4, 2, 0), at(4, 2, 9)], { truth: 'gt', tracks: 'out.txt' })).toThrow(
    'out.txt: id 2 comes twice in frame 4',
  );
});

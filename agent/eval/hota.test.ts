import { expect, test } from 'vitest';
import { alphas, hota } from './hota.ts';
import { range, standing } from './rows.ts';
import { compare } from './sequence.ts';

test('nineteen alphas', () => {
  expect([alphas[0], alphas[9], alphas[18], alphas.length]).toEqual([0.05, 0.5, 0.95, 19]);
});

test('a perfect answer is perfect', () => {
  const truth = standing(1, 0, range(1, 10));
  expect(hota(compare(truth, truth))).toMatchObject({ hota: 1, detA: 1, assA: 1, locA: 1 });
});

test('a life in two halves: all is found, half is kept together', () => {
  const tracks = [...standing(5, 0, range(1, 5)), ...standing(6, 0, range(6, 10))];
  const measures = hota(compare(standing(1, 0, range(1, 10)), tracks));
  expect(measures.detA).toBe(1);
  expect(measures.assA).toBeCloseTo(0.5, 12);
  expect(measures.hota).toBeCloseTo(Math.sqrt(0.5), 12);
});

test('boxes that overlap by a third count up to there', () => {
  const measures = hota(compare(standing(1, 0, range(1, 10)), standing(1, 5, range(1, 10))));
  expect(measures.hotaByAlpha.filter((value) => value === 1)).toHaveLength(6);
  expect(measures.detA).toBeCloseTo(6 / 19, 12);
});

test('nothing against something is nothing', () => {
  expect(hota(compare(standing(1, 0, range(1, 3)), []))).toMatchObject({ hota: 0, detA: 0, assA: 0, locA: 1 });
});

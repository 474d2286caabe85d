import { expect, test } from 'vitest';
import { identityMeasures } from './identity.ts';
import { range, standing } from './rows.ts';
import { compare } from './sequence.ts';

test('a life in two tracks counts with the longer one', () => {
  const tracks = [...standing(5, 0, range(1, 6)), ...standing(6, 0, range(7, 10))];
  expect(identityMeasures(compare(standing(1, 0, range(1, 10)), tracks))).toEqual({
    idf1: 0.6,
    idPrecision: 0.6,
    idRecall: 0.6,
    idTruePositives: 6,
  });
});

test('two objects in one track: only one of them has it', () => {
  const truth = [...standing(1, 0, range(1, 4)), ...standing(2, 0, range(5, 10))];
  expect(identityMeasures(compare(truth, standing(5, 0, range(1, 10)))).idTruePositives).toBe(6);
});

test('pairs for the whole, not one by one', () => {
  // Object 1: 5 frames of track 7, 4 of track 8. Object 2: 4 frames of track 7 only.
  const truth = [...standing(1, 0, range(1, 9)), ...standing(2, 100, range(10, 13))];
  const tracks = [...standing(7, 0, range(1, 5)), ...standing(8, 0, range(6, 9)), ...standing(7, 100, range(10, 13))];
  expect(identityMeasures(compare(truth, tracks)).idTruePositives).toBe(8);
});

import { describe, expect, test } from 'vitest';
import { clearMot } from './clear-mot.ts';
import { at, range, standing } from './rows.ts';
import { compare } from './sequence.ts';

describe('clearMot', () => {
  test('a perfect answer is perfect', () => {
    const truth = [...standing(1, 0, range(1, 10)), ...standing(2, 50, range(1, 10))];
    expect(clearMot(compare(truth, truth))).toEqual({
      mota: 1,
      motp: 0,
      recall: 1,
      precision: 1,
      falsePositives: 0,
      misses: 0,
      switches: 0,
      fragmentations: 0,
      objects: 2,
      mostlyTracked: 2,
      partlyTracked: 0,
      mostlyLost: 0,
    });
  });

  test('counts a miss, a false positive, a switch after a gap, and the gap', () => {
    const truth = standing(1, 0, range(1, 10));
    const tracks = [...standing(5, 0, range(1, 4)), ...standing(6, 0, range(6, 10)), at(3, 9, 500)];
    const measures = clearMot(compare(truth, tracks));
    expect(measures).toMatchObject({ misses: 1, falsePositives: 1, switches: 1, fragmentations: 1, mostlyTracked: 1 });
    expect(measures.mota).toBeCloseTo(1 - 3 / 10, 12);
  });

  test('keeps an old pair that still fits before a new one that fits better', () => {
    const truth = standing(1, 0, [1, 2]);
    const tracks = [at(1, 5, 0), at(2, 5, 3), at(2, 6, 0)];
    expect(clearMot(compare(truth, tracks))).toMatchObject({ switches: 0, falsePositives: 1, misses: 0 });
  });

  test('an overlap of just one half is a match, less is none', () => {
    const truth = [at(1, 1, 0)];
    expect(clearMot(compare(truth, [{ ...at(1, 1, 0), height: 10 }])).misses).toBe(0);
    expect(clearMot(compare(truth, [{ ...at(1, 1, 0), height: 9.99 }])).misses).toBe(1);
  });

  test('four fifths are mostly tracked, a fifth is partly, less is lost', () => {
    const truth = [...standing(1, 0, range(1, 10)), ...standing(2, 50, range(1, 10)), ...standing(3, 99, range(1, 10))];
    const tracks = [...standing(1, 0, range(1, 8)), ...standing(2, 50, range(1, 2)), ...standing(3, 99, [1])];
    expect(clearMot(compare(truth, tracks))).toMatchObject({ mostlyTracked: 1, partlyTracked: 1, mostlyLost: 1 });
  });

  test('without any track all is missed, and precision is of nothing', () => {
    const measures = clearMot(compare(standing(1, 0, range(1, 5)), []));
    expect(measures).toMatchObject({ mota: 0, misses: 5, mostlyLost: 1, precision: NaN, motp: NaN });
  });
});

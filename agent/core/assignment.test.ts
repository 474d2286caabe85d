import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchByWeight, matchMost } from './assignment.ts';

interface Problem {
  readonly rows: number;
  readonly columns: number;
  readonly entries: readonly number[];
}

/** Every way to give each row a column of its own, or none. */
function* pairings(rows: number, columns: number, taken: readonly number[] = []): Generator<readonly number[]> {
  if (taken.length === rows) {
    yield taken;
    return;
  }
  for (let c = -1; c < columns; c += 1) {
    if (c < 0 || !taken.includes(c)) yield* pairings(rows, columns, [...taken, c]);
  }
}

const allowedEntries = ({ columns, entries }: Problem, pairing: ArrayLike<number>): (number | undefined)[] =>
  Array.from(pairing).flatMap((c, r) => (c < 0 ? [] : [entries[r * columns + c]]));

const sum = (values: readonly (number | undefined)[]): number => values.reduce<number>((a, b) => a + (b ?? NaN), 0);

const expectOneToOne = (pairing: Int32Array, columns: number): void => {
  const used = [...pairing].filter((c) => c >= 0);
  expect(new Set(used).size).toBe(used.length);
  expect(used.every((c) => c < columns)).toBe(true);
};

const problem = (entry: fc.Arbitrary<number>): fc.Arbitrary<Problem> =>
  fc
    .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }))
    .chain(([rows, columns]) =>
      fc
        .array(entry, { minLength: rows * columns, maxLength: rows * columns })
        .map((entries) => ({ rows, columns, entries })),
    );

describe('matchByWeight', () => {
  test('finds what trying everything finds', () => {
    const weight = fc.oneof(fc.integer({ min: -3, max: 9 }), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(problem(weight), (given) => {
        const pairing = matchByWeight(Float64Array.from(given.entries), given.rows, given.columns);
        expectOneToOne(pairing, given.columns);
        const chosen = allowedEntries(given, pairing);
        expect(chosen.every((entry) => (entry ?? 0) > 0)).toBe(true);
        const best = Math.max(...[...pairings(given.rows, given.columns)].map((p) => sum(allowedEntries(given, p))));
        expect(sum(chosen)).toBeCloseTo(best, 9);
      }),
      { numRuns: 300 },
    );
  });

  test('never pairs what is no number', () => {
    expect([...matchByWeight(Float64Array.of(NaN, 0.5, Infinity, -1), 2, 2)]).toEqual([1, -1]);
  });

  test('gives up a good pair for two that are better together', () => {
    expect([...matchByWeight(Float64Array.of(0.9, 0.8, 0.7, 0), 2, 2)]).toEqual([1, 0]);
  });
});

describe('matchMost', () => {
  test('finds what trying everything finds', () => {
    const cost = fc.oneof(
      fc.constant(Infinity),
      fc.integer({ min: -9, max: 9 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(problem(cost), (given) => {
        const pairing = matchMost(Float64Array.from(given.entries), given.rows, given.columns);
        expectOneToOne(pairing, given.columns);
        const chosen = allowedEntries(given, pairing);
        const possible = [...pairings(given.rows, given.columns)]
          .map((p) => allowedEntries(given, p))
          .filter((entries) => entries.every((entry) => Number.isFinite(entry)));
        const most = Math.max(...possible.map((entries) => entries.length));
        expect(chosen).toHaveLength(most);
        const least = Math.min(...possible.filter((entries) => entries.length === most).map(sum));
        expect(sum(chosen)).toBeCloseTo(least, 9);
      }),
      { numRuns: 300 },
    );
  });

  test('takes two dear pairs rather than one cheap one', () => {
    expect([...matchMost(Float64Array.of(0, 9, 9, Infinity), 2, 2)]).toEqual([1, 0]);
  });
});

test('refuses a matrix of another size', () => {
  expect(() => matchMost(new Float64Array(3), 2, 2)).toThrow(RangeError);
});

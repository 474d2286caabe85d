/** The geometry of the fence, against what is known of it without calculating the same way. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fenceProblem, isInside, isWayInside, type LatLon } from './fence.ts';

const runs = { seed: 20_261_126, numRuns: 500 };
const origin = { latitude: 31.2304, longitude: 121.4737 };
/** Metres north and east of the origin. */
const at = (north: number, east: number): LatLon => ({
  latitude: origin.latitude + north / 111_320,
  longitude: origin.longitude + east / (111_320 * Math.cos((origin.latitude * Math.PI) / 180)),
});
const square = [at(0, 0), at(0, 100), at(100, 100), at(100, 0)];
/** A square with a dent in its north side, down to its middle. */
const dented = [at(0, 0), at(0, 100), at(100, 100), at(100, 60), at(50, 60), at(50, 40), at(100, 40), at(100, 0)];

const metre = (least: number, most: number): fc.Arbitrary<number> =>
  fc.double({ min: least, max: most, noNaN: true, noDefaultInfinity: true });

/** Corners on an ellipse, by angle: convex, and never two in one place. */
const convex = fc
  .record({
    count: fc.integer({ min: 3, max: 12 }),
    turn: metre(0, 6),
    north: metre(5, 500),
    east: metre(5, 500),
  })
  .map(({ count, turn, north, east }) =>
    Array.from({ length: count }, (_unused, index) => {
      const angle = turn + (index * 2 * Math.PI) / count;
      return at(north * Math.sin(angle), east * Math.cos(angle));
    }),
  );

const mix = (corners: readonly LatLon[], weights: readonly number[]): LatLon => {
  const total = weights.slice(0, corners.length).reduce((sum, weight) => sum + weight, 0);
  const mean = (axis: keyof LatLon): number =>
    corners.reduce((sum, corner, index) => sum + corner[axis] * ((weights[index] ?? 0) / total), 0);
  return { latitude: mean('latitude'), longitude: mean('longitude') };
};
const weights = fc.array(metre(0.01, 1), { minLength: 12, maxLength: 12 });

describe('inside', () => {
  it('is every mixture of the corners of a convex fence', () => {
    fc.assert(
      fc.property(convex, weights, (fence, shares) => {
        expect(isInside(fence, mix(fence, shares))).toBe(true);
      }),
      runs,
    );
  });

  it('is not what lies beyond the circle round a fence', () => {
    fc.assert(
      fc.property(convex, metre(0, 6.28), metre(501, 5_000), (fence, angle, away) => {
        expect(isInside(fence, at(away * Math.sin(angle), away * Math.cos(angle)))).toBe(false);
      }),
      runs,
    );
  });

  it('are the edges and the corners themselves', () => {
    fc.assert(
      fc.property(convex, fc.nat(11), metre(0, 1), (fence, index, share) => {
        const [a, b] = [fence[index % fence.length], fence[(index + 1) % fence.length]] as [LatLon, LatLon];
        expect(isInside(fence, mix([a, b], [1 - share + 1e-12, share + 1e-12]))).toBe(true);
        expect(isInside(fence, a)).toBe(true);
      }),
      runs,
    );
  });

  it('does not depend on the first corner, or on the way round', () => {
    fc.assert(
      fc.property(metre(-50, 150), metre(-50, 150), fc.nat(7), (north, east, first) => {
        const turned = [...dented.slice(first), ...dented.slice(0, first)];
        const point = at(north, east);
        const known = isInside(dented, point);
        // within a millimetre of an edge the rounding of another origin may decide
        const near = [-0.1, 0.1].some((off) => isInside(dented, at(north + off, east + off)) !== known);
        fc.pre(!near);
        expect(isInside(turned, point)).toBe(known);
        expect(isInside(turned.toReversed(), point)).toBe(known);
      }),
      runs,
    );
  });

  it('is as simple comparisons say of a square', () => {
    fc.assert(
      fc.property(fc.integer({ min: -51, max: 150 }), fc.integer({ min: -51, max: 150 }), (metresNorth, metresEast) => {
        // half a metre beside every edge
        const [north, east] = [metresNorth + 0.5, metresEast + 0.5];
        expect(isInside(square, at(north, east))).toBe(north > 0 && north < 100 && east > 0 && east < 100);
      }),
      runs,
    );
  });

  it('is not a step outside of an edge, and is a step within', () => {
    expect(isInside(square, at(50, -0.1))).toBe(false);
    expect(isInside(square, at(50, 0.1))).toBe(true);
    expect(isInside(dented, at(75, 50))).toBe(false);
    expect(isInside(dented, at(49.9, 50))).toBe(true);
  });
});

describe('a way', () => {
  it('between two places of a convex fence is inside', () => {
    fc.assert(
      fc.property(convex, weights, weights, (fence, one, other) => {
        expect(isWayInside(fence, mix(fence, one), mix(fence, other))).toBe(true);
      }),
      runs,
    );
  });

  it('is inside exactly when every place on it is', () => {
    const place = fc.tuple(metre(-20, 120), metre(-20, 120));
    fc.assert(
      fc.property(place, place, ([n1, e1], [n2, e2]) => {
        const steps = Array.from({ length: 401 }, (_unused, step) => step / 400);
        const all = steps.every((share) => isInside(dented, at(n1 + (n2 - n1) * share, e1 + (e2 - e1) * share)));
        // a way over a corner may leave for less than a sample
        if (isWayInside(dented, at(n1, e1), at(n2, e2))) expect(all).toBe(true);
        else fc.pre(!all);
      }),
      runs,
    );
  });

  it('leaves where the fence has a dent, though both its ends are inside', () => {
    expect(isWayInside(dented, at(80, 20), at(80, 80))).toBe(false);
    expect(isWayInside(dented, at(40, 20), at(40, 80))).toBe(true);
    // along the bottom of the dent
    expect(isWayInside(dented, at(50, 20), at(50, 80))).toBe(true);
  });

  it('along an edge is inside, and one that begins outside is not', () => {
    expect(isWayInside(square, at(0, 0), at(0, 100))).toBe(true);
    expect(isWayInside(square, at(-10, 50), at(50, 50))).toBe(false);
  });

  it('of no length is a place', () => {
    expect(isWayInside(square, at(50, 50), at(50, 50))).toBe(true);
    expect(isWayInside(square, at(150, 50), at(150, 50))).toBe(false);
  });
});

describe('a fence', () => {
  it('is refused when it is none', () => {
    expect(fenceProblem([])).toBeUndefined();
    expect(fenceProblem(square)).toBeUndefined();
    expect(fenceProblem(dented)).toBeUndefined();
    expect(fenceProblem(square.slice(0, 2))).toMatch('three corners');
    expect(fenceProblem([square[0], square[2], square[1], square[3]] as LatLon[])).toMatch('cross each other');
    expect(fenceProblem([...square, square[3]] as LatLon[])).toMatch('same place');
  });

  it('is refused across the antimeridian', () => {
    const places = [179.999, -179.999, -179.999].map((longitude, index) => ({ latitude: index / 1_000, longitude }));
    expect(fenceProblem(places)).toMatch('antimeridian');
  });
});

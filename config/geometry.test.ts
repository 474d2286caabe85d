/** Polygons that make sense are taken, whatever their shape; those that cross themselves are not. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { polygonFault } from './geometry.ts';

/** Corners around a centre, each at its own distance: a star-shaped polygon never crosses itself. */
const star = fc.array(fc.double({ min: 0.1, max: 0.45, noNaN: true }), { minLength: 3, maxLength: 20 }).map((radii) =>
  radii.map((radius, index): [number, number] => {
    const angle = (2 * Math.PI * index) / radii.length;
    return [0.5 + radius * Math.cos(angle), 0.5 + radius * Math.sin(angle)];
  }),
);

const convex = (count: number) =>
  Array.from({ length: count }, (_empty, index): [number, number] => {
    const angle = (2 * Math.PI * index) / count;
    return [0.5 + 0.4 * Math.cos(angle), 0.5 + 0.4 * Math.sin(angle)];
  });

it('takes every star-shaped polygon, in both orders and from each corner', () => {
  fc.assert(
    fc.property(star, fc.nat(20), (corners, turn) => {
      const turned = [...corners.slice(turn % corners.length), ...corners.slice(0, turn % corners.length)];
      expect(polygonFault(turned)).toBeUndefined();
      expect(polygonFault(turned.toReversed())).toBeUndefined();
    }),
  );
});

it('refuses every polygon of which two corners that are not neighbours were exchanged', () => {
  fc.assert(
    fc.property(fc.integer({ min: 5, max: 12 }), fc.nat(), (count, seed) => {
      const corners = convex(count);
      const first = seed % count;
      const other = (first + 2) % count;
      const exchanged = corners.with(first, corners[other] ?? [0, 0]).with(other, corners[first] ?? [0, 0]);
      expect(polygonFault(exchanged)).toMatch(/^crosses itself/);
    }),
  );
});

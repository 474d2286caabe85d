/** Whether a drawn polygon or line makes sense: what rules can decide inside and outside of. */
import type { Point } from '#agent/domain/box.ts';

const leastArea = 1e-5;
const leastLength = 1e-3;

/** @returns what is wrong with the corners, or undefined */
export function polygonFault(corners: readonly Point[]): string | undefined {
  const { length } = corners;
  if (length < 3) return `needs at least three corners and has ${length}`;
  const edges = corners.map((corner, index): Edge => [corner, corners[(index + 1) % length] ?? corner]);
  const repeated = edges.findIndex(([from, to]) => from[0] === to[0] && from[1] === to[1]);
  if (repeated === length - 1) return 'ends with its first corner; leave the last one out, it closes by itself';
  if (repeated !== -1) return `has its corner ${repeated + 1} twice in a row`;
  for (const [index, edge] of edges.entries()) {
    for (let other = index + 1; other < length; other += 1) {
      const crossed = edges[other];
      const isNext = other === index + 1;
      const isPrevious = index === 0 && other === length - 1;
      if (!crossed) continue;
      if (isNext ? turnsBack(edge, crossed) : isPrevious ? turnsBack(crossed, edge) : meet(edge, crossed)) {
        return `crosses itself: edge ${index + 1} meets edge ${other + 1}`;
      }
    }
  }
  return Math.abs(signedArea(corners)) < leastArea ? 'has no area' : undefined;
}

/** @returns what is wrong with the line, or undefined */
export const lineFault = (from: Point, to: Point): string | undefined =>
  Math.hypot(to[0] - from[0], to[1] - from[1]) < leastLength
    ? 'has no length: `from` and `to` are the same'
    : undefined;

type Edge = readonly [from: Point, to: Point];

/** Twice the signed area of the triangle: positive when c lies to the right of a to b. */
const cross = (a: Point, b: Point, c: Point): number => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);

const isBetween = (a: Point, b: Point, c: Point): boolean =>
  Math.min(a[0], b[0]) <= c[0] &&
  c[0] <= Math.max(a[0], b[0]) &&
  Math.min(a[1], b[1]) <= c[1] &&
  c[1] <= Math.max(a[1], b[1]);

/** Two edges that share no corner cross or touch (Cormen et al., Introduction to Algorithms, 33.1). */
function meet([a, b]: Edge, [c, d]: Edge): boolean {
  const [d1, d2, d3, d4] = [cross(c, d, a), cross(c, d, b), cross(a, b, c), cross(a, b, d)];
  if (d1 * d2 < 0 && d3 * d4 < 0) return true;
  return (
    (d1 === 0 && isBetween(c, d, a)) ||
    (d2 === 0 && isBetween(c, d, b)) ||
    (d3 === 0 && isBetween(a, b, c)) ||
    (d4 === 0 && isBetween(a, b, d))
  );
}

/** The second edge runs back over the first. */
function turnsBack([a, b]: Edge, [, d]: Edge): boolean {
  const dot = (b[0] - a[0]) * (d[0] - b[0]) + (b[1] - a[1]) * (d[1] - b[1]);
  return cross(a, b, d) === 0 && dot < 0;
}

const signedArea = (corners: readonly Point[]): number =>
  corners.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = corners[(index + 1) % corners.length] ?? [x, y];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);

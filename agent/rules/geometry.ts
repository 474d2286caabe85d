/** Points against polygons and lines, in normalised picture coordinates. */
import type { Point } from '#agent/domain/box.ts';

/** Even-odd rule over half-open edges: a point on a shared edge is in exactly one of two neighbours. */
export function insidePolygon([x, y]: Point, polygon: readonly Point[]): boolean {
  let inside = false;
  let previous = polygon.at(-1);
  for (const corner of polygon) {
    if (previous && corner[1] > y !== previous[1] > y) {
      const crossingX = corner[0] + ((y - corner[1]) / (previous[1] - corner[1])) * (previous[0] - corner[0]);
      if (x < crossingX) inside = !inside;
    }
    previous = corner;
  }
  return inside;
}

/** A directed line across the picture. */
export interface Segment {
  readonly from: Point;
  readonly to: Point;
}

/** Distance from the endless line through the segment; positive to its right, seen from `from` to `to` (y is down). */
export function signedDistance([x, y]: Point, { from, to }: Segment): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  return (dx * (y - from[1]) - dy * (x - from[0])) / Math.hypot(dx, dy);
}

/** How a step passes the segment: 1 from left to right, -1 from right to left, 0 not at all. */
export function stepAcross(before: Point, after: Point, segment: Segment): -1 | 0 | 1 {
  const a = signedDistance(before, segment);
  const b = signedDistance(after, segment);
  if (a >= 0 === b >= 0) return 0;
  const t = a / (a - b);
  const { from, to } = segment;
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const x = before[0] + t * (after[0] - before[0]) - from[0];
  const y = before[1] + t * (after[1] - before[1]) - from[1];
  const along = (x * dx + y * dy) / (dx * dx + dy * dy);
  if (along < 0 || along > 1) return 0;
  return b >= 0 ? 1 : -1;
}

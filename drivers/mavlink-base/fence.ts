/**
 * Whether a place, or a way between two, is inside of a polygon on the ground. Pure.
 *
 * Degrees, taken as flat: good for the few kilometres that a robot walks. A fence across the antimeridian (180° of longitude)
 * or round a pole is refused, for no city has one there.
 */

/** WGS 84, degrees, north and east positive. */
export interface LatLon {
  readonly latitude: number;
  readonly longitude: number;
}

/** Nearer than this to an edge counts as on it, and on it as inside: some centimetres, as fine as the wire's 1e-7. */
const onEdgeDeg = 2e-7;
const mostSpanDeg = 1;

interface Flat {
  readonly x: number;
  readonly y: number;
}

/** East shrinks with the cosine of the latitude; both axes in degrees of latitude then. */
const flattened = (points: readonly LatLon[]): ((point: LatLon) => Flat) => {
  const origin = points[0] ?? { latitude: 0, longitude: 0 };
  const shrink = Math.cos((origin.latitude * Math.PI) / 180);
  return ({ latitude, longitude }) => ({
    x: (longitude - origin.longitude) * shrink,
    y: latitude - origin.latitude,
  });
};

/** @returns why these points are no fence; undefined when they are one, or when there are none */
export function fenceProblem(points: readonly LatLon[]): string | undefined {
  if (points.length === 0) return undefined;
  if (points.length < 3) return 'A fence has three corners or more.';
  for (const axis of ['latitude', 'longitude'] as const) {
    const values = points.map((point) => point[axis]);
    if (Math.max(...values) - Math.min(...values) > mostSpanDeg)
      return `A fence spans ${mostSpanDeg} degree of ${axis} at most, and does not cross the antimeridian.`;
  }
  const edges = edgesOf(points.map(flattened(points)));
  if (edges.some(([a, b]) => distance(a, b) <= onEdgeDeg)) return 'Two corners of the fence are the same place.';
  return edges.some((edge, at) =>
    edges.some((other, beside) => at < beside && touch(edge, other, beside - at, edges.length)),
  )
    ? 'The edges of the fence cross each other.'
    : undefined;
}

/** @param fence at least three corners; its last is joined to its first */
export function isInside(fence: readonly LatLon[], point: LatLon): boolean {
  const flat = flattened(fence);
  return isInsideFlat(fence.map(flat), flat(point));
}

/** Whether all of the straight way is inside; both ends may be and the way not, where the fence has a dent. */
export function isWayInside(fence: readonly LatLon[], from: LatLon, to: LatLon): boolean {
  const flat = flattened(fence);
  const [polygon, a, b] = [fence.map(flat), flat(from), flat(to)];
  if (!isInsideFlat(polygon, a) || !isInsideFlat(polygon, b)) return false;
  const cuts = edgesOf(polygon).flatMap((edge) => crossings([a, b], edge));
  const stops = [0, ...cuts.toSorted((one, other) => one - other), 1];
  // between two crossings all is inside or all is outside, so that its middle tells
  return stops.slice(1).every((stop, at) => isInsideFlat(polygon, between(a, b, ((stops[at] ?? 0) + stop) / 2)));
}

type Edge = readonly [Flat, Flat];

const edgesOf = (polygon: readonly Flat[]): readonly Edge[] =>
  polygon.map((corner, at) => [corner, polygon[(at + 1) % polygon.length] as Flat]);

const between = (a: Flat, b: Flat, share: number): Flat => ({
  x: a.x + (b.x - a.x) * share,
  y: a.y + (b.y - a.y) * share,
});

const distance = (a: Flat, b: Flat): number => Math.hypot(a.x - b.x, a.y - b.y);

function distanceToEdge(point: Flat, [a, b]: Edge): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : ((point.x - a.x) * dx + (point.y - a.y) * dy) / length;
  return distance(point, between(a, b, Math.min(1, Math.max(0, share))));
}

function isInsideFlat(polygon: readonly Flat[], point: Flat): boolean {
  const edges = edgesOf(polygon);
  if (edges.some((edge) => distanceToEdge(point, edge) <= onEdgeDeg)) return true;
  // a ray to the east crosses the edges an odd number of times
  const crossed = edges.filter(
    ([a, b]) => a.y > point.y !== b.y > point.y && point.x < a.x + ((point.y - a.y) * (b.x - a.x)) / (b.y - a.y),
  );
  return crossed.length % 2 === 1;
}

/** Shares of the way `[a, b]` at which it meets the edge; along an edge: where that edge ends. */
function crossings([a, b]: Edge, [c, d]: Edge): readonly number[] {
  const [way, edge] = [
    { x: b.x - a.x, y: b.y - a.y },
    { x: d.x - c.x, y: d.y - c.y },
  ];
  const cross = way.x * edge.y - way.y * edge.x;
  const toEdge = { x: c.x - a.x, y: c.y - a.y };
  if (cross === 0) {
    const length = way.x * way.x + way.y * way.y;
    // parallel, and not on one line: they never meet
    if (length === 0 || way.x * toEdge.y !== way.y * toEdge.x) return [];
    return [c, d].map((end) => ((end.x - a.x) * way.x + (end.y - a.y) * way.y) / length).filter(isShare);
  }
  const onWay = (toEdge.x * edge.y - toEdge.y * edge.x) / cross;
  const onEdge = (toEdge.x * way.y - toEdge.y * way.x) / cross;
  return isShare(onWay) && isShare(onEdge) ? [onWay] : [];
}

const isShare = (value: number): boolean => value >= 0 && value <= 1;

/** Neighbours share a corner, which is no crossing. */
function touch(edge: Edge, other: Edge, apart: number, count: number): boolean {
  if (apart === 1 || apart === count - 1) return false;
  return crossings(edge, other).length > 0;
}

/**
 * A small language for what a camera sees: walks along way points, filmed at a rate.
 *
 *   walk({ path: [[0, 0.1, 0.5], [4, 0.9, 0.5]] })   from second 0 at x 0.1 to second 4 at x 0.9
 */
import type { Box, Point } from '#agent/domain/box.ts';
import type { Track, TrackedFrame } from '#agent/domain/track.ts';

type WayPoint = readonly [second: number, x: number, y: number];
type Span = readonly [fromSecond: number, toSecond: number];

export interface Walk {
  readonly id: number;
  readonly label: string;
  readonly score: number;
  /** Foot points; before the first and after the last the track is not there. */
  readonly path: readonly WayPoint[];
  /** Spans in which nothing detects it: its track coasts, believed to go on. */
  readonly hidden: readonly Span[];
  /** Added to the foot point of each frame. */
  readonly tremble: (frame: number) => Point;
}

export const walk = (known: Partial<Walk> & Pick<Walk, 'path'>): Walk => ({
  id: 1,
  label: 'person',
  score: 0.9,
  hidden: [],
  tremble: () => [0, 0],
  ...known,
});

export interface Film {
  readonly camera?: string;
  readonly fps?: number;
  readonly seconds: number;
  /** Wall time of the first frame. */
  readonly wallMs?: number;
}

export function film(
  walks: readonly Walk[],
  { camera = 'front', fps = 10, seconds, wallMs = 0 }: Film,
): TrackedFrame[] {
  return Array.from({ length: Math.round(seconds * fps) + 1 }, (_empty, frame) => {
    const atMs = Math.round((frame * 1000) / fps);
    const tracks = walks.flatMap((each) => trackAt(each, atMs / 1000, frame) ?? []);
    return { camera, frame, atMs, wallMs: wallMs + atMs, tracks };
  });
}

function trackAt(walker: Walk, second: number, frame: number): Track | undefined {
  const foot = footAt(walker.path, second);
  const firstSecond = walker.path[0]?.[0];
  if (!foot || firstSecond === undefined) return undefined;
  const [dx, dy] = walker.tremble(frame);
  const coasting = walker.hidden.some(([from, to]) => second >= from && second < to);
  return {
    id: walker.id,
    label: walker.label,
    score: walker.score,
    box: boxOn([foot[0] + dx, foot[1] + dy]),
    velocity: [0, 0],
    firstSeenMs: firstSecond * 1000,
    lastSeenMs: second * 1000,
    coasting,
    stationary: false,
  };
}

const boxOn = ([x, y]: Point): Box => [x - 0.02, y - 0.15, x + 0.02, y];

function footAt(path: readonly WayPoint[], second: number): Point | undefined {
  const after = path.findIndex(([at]) => at >= second);
  const to = path[after];
  if (!to || (after === 0 && to[0] > second)) return undefined;
  const from = path[after - 1] ?? to;
  const part = to[0] === from[0] ? 1 : (second - from[0]) / (to[0] - from[0]);
  return [from[1] + part * (to[1] - from[1]), from[2] + part * (to[2] - from[2])];
}

/**
 * CLEAR-MOT: how much was seen, how much was invented, how often an object changed its track.
 *
 * K. Bernardin, R. Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", EURASIP
 * Journal on Image and Video Processing 2008, section 2.2; details where the paper is silent as in py-motmetrics:
 * an object keeps its last track however long ago that was, and pairs are made before they are made well.
 */
import { matchMost } from '#agent/core/assignment.ts';
import type { ComparedFrame, Sequence } from './sequence.ts';

export interface ClearMot {
  readonly mota: number;
  /** Mean of 1 - IoU over all matches: 0 is perfect. */
  readonly motp: number;
  readonly recall: number;
  readonly precision: number;
  readonly falsePositives: number;
  readonly misses: number;
  readonly switches: number;
  /** How often an object was lost and found again. */
  readonly fragmentations: number;
  readonly objects: number;
  /** Objects covered for at least 80 %, between, and less than 20 % of their frames. */
  readonly mostlyTracked: number;
  readonly partlyTracked: number;
  readonly mostlyLost: number;
}

export function clearMot({ frames, objectCount, objectBoxes, trackBoxes }: Sequence, leastOverlap = 0.5): ClearMot {
  /** The newest track of each object. */
  const known = new Map<number, number>();
  const coverage = Array.from({ length: objectCount }, (): boolean[] => []);
  let [matches, switches, distance] = [0, 0, 0];
  for (const frame of frames) {
    const pairs = matchFrame(frame, known, leastOverlap);
    frame.objects.forEach((object, o) => {
      const t = pairs[o] ?? -1;
      coverage[object]?.push(t >= 0);
      const track = frame.tracks[t];
      if (track === undefined) return;
      matches += 1;
      distance += 1 - (frame.overlaps[o * frame.tracks.length + t] ?? 0);
      if ((known.get(object) ?? track) !== track) switches += 1;
      known.set(object, track);
    });
  }
  const misses = objectBoxes - matches;
  const falsePositives = trackBoxes - matches;
  const covered = coverage.map((seen) => seen.filter(Boolean).length / seen.length);
  const mostlyTracked = covered.filter((part) => part >= 0.8).length;
  const mostlyLost = covered.filter((part) => part < 0.2).length;
  return {
    mota: 1 - (misses + falsePositives + switches) / objectBoxes,
    motp: distance / matches,
    recall: matches / objectBoxes,
    precision: matches / trackBoxes,
    falsePositives,
    misses,
    switches,
    fragmentations: coverage.reduce((sum, seen) => sum + gaps(seen), 0),
    objects: objectCount,
    mostlyTracked,
    partlyTracked: objectCount - mostlyTracked - mostlyLost,
    mostlyLost,
  };
}

/** @returns for each object of the frame the place of its track in the frame, or -1 */
function matchFrame(
  { objects, tracks, overlaps }: ComparedFrame,
  known: ReadonlyMap<number, number>,
  leastOverlap: number,
): Int32Array {
  const overlapOf = (o: number, t: number): number => overlaps[o * tracks.length + t] ?? 0;
  const pairs = new Int32Array(objects.length).fill(-1);
  const taken = new Set<number>();
  objects.forEach((object, o) => {
    const t = tracks.indexOf(known.get(object) ?? -1);
    if (t < 0 || taken.has(t) || overlapOf(o, t) < leastOverlap) return;
    pairs[o] = t;
    taken.add(t);
  });
  const restObjects = objects.map((_object, o) => o).filter((o) => pairs[o] === -1);
  const restTracks = tracks.map((_track, t) => t).filter((t) => !taken.has(t));
  const costs = Float64Array.from(
    restObjects.flatMap((o) =>
      restTracks.map((t) => (overlapOf(o, t) >= leastOverlap ? 1 - overlapOf(o, t) : Infinity)),
    ),
  );
  matchMost(costs, restObjects.length, restTracks.length).forEach((place, row) => {
    const [o, t] = [restObjects[row], restTracks[place]];
    if (o !== undefined && t !== undefined) pairs[o] = t;
  });
  return pairs;
}

/** Gaps between the first and the last frame in which it was seen. */
function gaps(seen: readonly boolean[]): number {
  const span = seen.slice(Math.max(0, seen.indexOf(true)), seen.lastIndexOf(true) + 1);
  return span.filter((now, index) => !now && span[index - 1] === true).length;
}

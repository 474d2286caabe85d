/**
 * HOTA: detection and association weighed evenly, over nineteen demands on how well boxes must lie.
 *
 * J. Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021, sections 5 and 6:
 * at each alpha HOTA = sqrt(DetA * AssA); pairs are chosen a frame at a time, so that objects and tracks that go
 * together over the whole sequence come first.
 */
import { matchByWeight } from '#agent/core/assignment.ts';
import type { ComparedFrame, Sequence } from './sequence.ts';

export interface Hota {
  /** Means over all alphas. */
  readonly hota: number;
  readonly detA: number;
  readonly assA: number;
  readonly locA: number;
  /** HOTA at each alpha of `alphas`. */
  readonly hotaByAlpha: readonly number[];
}

/** 0.05, 0.10 … 0.95 */
export const alphas: readonly number[] = Array.from({ length: 19 }, (_alpha, index) => (index + 1) / 20);

/** An overlap of just alpha counts, whatever the last bit says. */
const tolerance = Number.EPSILON;

/** What is matched at one alpha. */
interface Matched {
  count: number;
  overlap: number;
  /** Matches of object o and track t at o * trackCount + t. */
  readonly pairs: Float64Array;
}

export function hota(sequence: Sequence): Hota {
  const { objectCount, trackCount, objectBoxes, trackBoxes } = sequence;
  const lengths = lengthsOf(sequence);
  const alike = globalAlignment(sequence, lengths);
  const matched = alphas.map((): Matched => ({
    count: 0,
    overlap: 0,
    pairs: new Float64Array(objectCount * trackCount),
  }));
  for (const frame of sequence.frames) matchFrame(frame, trackCount, alike, matched);

  const byAlpha = matched.map(({ count, overlap, pairs }) => {
    const detA = ratio(count, objectBoxes + trackBoxes - count);
    const assA = associationAccuracy(pairs, count, trackCount, lengths);
    return { detA, assA, locA: count === 0 ? 1 : overlap / count, hota: Math.sqrt(detA * assA) };
  });
  const hotaByAlpha = byAlpha.map((at) => at.hota);
  return {
    hota: mean(hotaByAlpha),
    detA: mean(byAlpha.map(({ detA }) => detA)),
    assA: mean(byAlpha.map(({ assA }) => assA)),
    locA: mean(byAlpha.map(({ locA }) => locA)),
    hotaByAlpha,
  };
}

interface Lengths {
  readonly objects: Float64Array;
  readonly tracks: Float64Array;
}

function lengthsOf({ frames, objectCount, trackCount }: Sequence): Lengths {
  const lengths = { objects: new Float64Array(objectCount), tracks: new Float64Array(trackCount) };
  for (const frame of frames) {
    for (const object of frame.objects) add(lengths.objects, object, 1);
    for (const track of frame.tracks) add(lengths.tracks, track, 1);
  }
  return lengths;
}

/** How much of their time each object and track overlap, as a Jaccard index of soft matches. */
function globalAlignment({ frames, objectCount, trackCount }: Sequence, lengths: Lengths): Float64Array {
  const together = new Float64Array(objectCount * trackCount);
  for (const frame of frames) addSoftMatches(frame, trackCount, together);
  return together.map((soft, cell) => {
    const [object, track] = [Math.floor(cell / trackCount), cell % trackCount];
    return ratio(soft, (lengths.objects[object] ?? 0) + (lengths.tracks[track] ?? 0) - soft);
  });
}

function addSoftMatches(
  { objects, tracks, overlaps }: ComparedFrame,
  trackCount: number,
  together: Float64Array,
): void {
  const ofObject = new Float64Array(objects.length);
  const ofTrack = new Float64Array(tracks.length);
  overlaps.forEach((overlap, cell) => {
    add(ofObject, Math.floor(cell / tracks.length), overlap);
    add(ofTrack, cell % tracks.length, overlap);
  });
  overlaps.forEach((overlap, cell) => {
    const [o, t] = [Math.floor(cell / tracks.length), cell % tracks.length];
    const rivals = (ofObject[o] ?? 0) + (ofTrack[t] ?? 0) - overlap;
    if (rivals > tolerance) add(together, (objects[o] ?? 0) * trackCount + (tracks[t] ?? 0), overlap / rivals);
  });
}

function matchFrame(
  { objects, tracks, overlaps }: ComparedFrame,
  trackCount: number,
  alike: Float64Array,
  matched: readonly Matched[],
): void {
  const cellOf = (o: number, t: number): number => (objects[o] ?? 0) * trackCount + (tracks[t] ?? 0);
  const weights = overlaps.map((overlap, cell) => {
    const [o, t] = [Math.floor(cell / tracks.length), cell % tracks.length];
    return overlap * (alike[cellOf(o, t)] ?? 0);
  });
  matchByWeight(weights, objects.length, tracks.length).forEach((t, o) => {
    if (t < 0) return;
    const overlap = overlaps[o * tracks.length + t] ?? 0;
    matched.forEach((at, index) => {
      if (overlap < (alphas[index] ?? 1) - tolerance) return;
      at.count += 1;
      at.overlap += overlap;
      add(at.pairs, cellOf(o, t), 1);
    });
  });
}

/** Mean over all matches of how much of both lives the pair shares. */
function associationAccuracy(pairs: Float64Array, count: number, trackCount: number, lengths: Lengths): number {
  let sum = 0;
  pairs.forEach((shared, cell) => {
    if (shared === 0) return;
    const [object, track] = [Math.floor(cell / trackCount), cell % trackCount];
    sum += (shared * shared) / ((lengths.objects[object] ?? 0) + (lengths.tracks[track] ?? 0) - shared);
  });
  return ratio(sum, count);
}

const add = (sums: Float64Array, place: number, value: number): void => {
  sums[place] = (sums[place] ?? 0) + value;
};
const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

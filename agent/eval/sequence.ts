/**
 * Truth and tracks of one sequence, frame by frame, with everything numbered from 0 and the overlap of each pair:
 * what all measures are computed from.
 */
import { OutpostError } from '#agent/core/errors.ts';
import type { MotRow } from './mot.ts';

export interface ComparedFrame {
  readonly frame: number;
  /** Numbers of the true objects and of the tracks in this frame. */
  readonly objects: readonly number[];
  readonly tracks: readonly number[];
  /** IoU of object o and track t of this frame at o * tracks.length + t. */
  readonly overlaps: Float64Array;
}

export interface Sequence {
  /** In order of time; frames in which there is nothing at all are left out. */
  readonly frames: readonly ComparedFrame[];
  readonly objectCount: number;
  readonly trackCount: number;
  readonly objectBoxes: number;
  readonly trackBoxes: number;
}

interface Side {
  readonly byFrame: ReadonlyMap<number, readonly MotRow[]>;
  readonly numbers: ReadonlyMap<number, number>;
  readonly rows: number;
}

/**
 * @param names of the two inputs in errors
 * @throws OutpostError `mot-garbled` when an id comes twice in a frame
 */
export function compare(
  truth: readonly MotRow[],
  tracks: readonly MotRow[],
  names: { readonly truth: string; readonly tracks: string } = { truth: 'truth', tracks: 'tracks' },
): Sequence {
  const objects = side(truth.filter(isCounted), names.truth);
  const followed = side(tracks, names.tracks);
  const frames = [...new Set([...objects.byFrame.keys(), ...followed.byFrame.keys()])].sort((a, b) => a - b);
  return {
    frames: frames.map((frame) => comparedFrame(frame, objects, followed)),
    objectCount: objects.numbers.size,
    trackCount: followed.numbers.size,
    objectBoxes: objects.rows,
    trackBoxes: followed.rows,
  };
}

/**
 * The score of a true box is a flag: py-motmetrics reads truth with `min_confidence=1`, so 0 leaves a row out.
 * Negative is MOTChallenge's "not given".
 */
const isCounted = ({ score }: MotRow): boolean => score >= 1 || score < 0;

function side(rows: readonly MotRow[], name: string): Side {
  const byFrame = Map.groupBy(rows, ({ frame }) => frame);
  for (const [frame, inFrame] of byFrame) {
    const ids = new Set<number>();
    for (const { id } of inFrame) {
      if (ids.has(id)) throw new OutpostError('mot-garbled', `${name}: id ${id} comes twice in frame ${frame}`);
      ids.add(id);
    }
  }
  const ids = [...new Set(rows.map(({ id }) => id))].sort((a, b) => a - b);
  return { byFrame, numbers: new Map(ids.map((id, number) => [id, number])), rows: rows.length };
}

function comparedFrame(frame: number, truth: Side, followed: Side): ComparedFrame {
  const [objects, tracks] = [truth, followed].map(({ byFrame }) => byFrame.get(frame) ?? []) as [MotRow[], MotRow[]];
  const overlaps = new Float64Array(objects.length * tracks.length);
  objects.forEach((object, o) => {
    tracks.forEach((track, t) => {
      overlaps[o * tracks.length + t] = overlap(object, track);
    });
  });
  const numbersOf = (rows: readonly MotRow[], { numbers }: Side): number[] =>
    rows.map(({ id }) => numbers.get(id) ?? 0);
  return { frame, objects: numbersOf(objects, truth), tracks: numbersOf(tracks, followed), overlaps };
}

function overlap(a: MotRow, b: MotRow): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

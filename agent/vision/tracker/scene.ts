/** Scenes for the tracker's tests: walkers of known paths, seen by a camera that may miss them. */
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { Track } from '#agent/domain/track.ts';
import { trackerParameters } from './parameters.ts';
import { Tracker } from './tracker.ts';

export const parameters = trackerParameters({ low: 0.1, high: 0.35, birth: 0.45 });

/** A person with this middle and foot, a quarter as wide as tall. */
export const person = (x: number, foot: number, height = 0.3, score = 0.8): Detection => ({
  label: 'person',
  score,
  box: [x - height / 8, foot - height, x + height / 8, foot],
});

/** What is seen at a time, and when frames come. */
export interface Scene {
  readonly seconds: number;
  readonly fps: number;
  readonly seen: (atSeconds: number, frame: number) => readonly Detection[];
  /** True for frames that never arrive. */
  readonly dropped?: (frame: number) => boolean;
}

export interface Step {
  readonly atMs: number;
  readonly tracks: readonly Track[];
}

export function play({ seconds, fps, seen, dropped = () => false }: Scene, tracker = new Tracker(parameters)): Step[] {
  const frames = Array.from({ length: Math.round(seconds * fps) }, (_frame, number) => number);
  return frames
    .filter((frame) => !dropped(frame))
    .map((frame) => ({
      atMs: (frame * 1000) / fps,
      tracks: tracker.step(seen(frame / fps, frame), (frame * 1000) / fps),
    }));
}

export const idsOf = (steps: readonly Step[]): number[] =>
  [...new Set(steps.flatMap(({ tracks }) => tracks.map(({ id }) => id)))].toSorted((a, b) => a - b);

/** The track whose middle is nearest. */
export const trackAt = ({ tracks }: Step, x: number): Track | undefined =>
  tracks.toSorted((a, b) => Math.abs(middle(a.box) - x) - Math.abs(middle(b.box) - x))[0];

const middle = (box: Box): number => (box[0] + box[2]) / 2;

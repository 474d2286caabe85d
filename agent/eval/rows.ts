/** Small sequences for the tests of the measures. */
import type { MotRow } from './mot.ts';

/** A box of 10 x 20 with its left upper corner there. */
export const at = (frame: number, id: number, x: number, y = 0): MotRow => ({
  frame,
  id,
  x,
  y,
  width: 10,
  height: 20,
  score: 1,
});

/** A box in each of these frames, at the same place. */
export const standing = (id: number, x: number, frames: readonly number[]): MotRow[] =>
  frames.map((frame) => at(frame, id, x));

export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_frame, index) => first + index);

/**
 * Hysteresis in time: a condition turns the latch only when it has held without a break.
 *
 *   off --true for onAfterMs and minFrames--> on --false for offAfterMs--> off
 */
export interface Latch {
  readonly on: boolean;
  /** Frames in a row that spoke against `on`, and the time of the first of them. */
  readonly against: number;
  readonly againstSinceMs: number;
}

export interface LatchOptions {
  readonly onAfterMs: number;
  readonly offAfterMs: number;
  readonly minFrames: number;
}

/** On, and nothing speaks against it now: what may begin something, where `on` is enough to go on with it. */
export const isFirm = (latch: Latch): boolean => latch.on && latch.against === 0;

export const openLatch: Latch = { on: false, against: 0, againstSinceMs: 0 };

export function stepLatch(latch: Latch, condition: boolean, atMs: number, options: LatchOptions): Latch {
  if (condition === latch.on) return latch.against === 0 ? latch : { ...latch, against: 0, againstSinceMs: 0 };
  const against = latch.against + 1;
  const againstSinceMs = latch.against === 0 ? atMs : latch.againstSinceMs;
  const waitMs = condition ? options.onAfterMs : options.offAfterMs;
  const turns = atMs - againstSinceMs >= waitMs && against >= (condition ? options.minFrames : 1);
  return turns ? { on: condition, against: 0, againstSinceMs: 0 } : { on: latch.on, against, againstSinceMs };
}

/** One object that is followed: its motion, its label and what became of it. */
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { Track } from '#agent/domain/track.ts';
import { BoxFilter } from './box-filter.ts';
import { LabelVotes } from './label-votes.ts';
import type { TrackerParameters } from './parameters.ts';
import { Stillness } from './stillness.ts';

/** Boxes reach past the picture at most this far, in picture sizes. */
const coordinate = (value: number): number => Math.min(2, Math.max(-1, value));

export class TrackedObject {
  /** 0 until it is confirmed. */
  id = 0;
  readonly firstSeenMs: number;
  lastSeenMs: number;
  /** Frames without a detection since the last one. */
  misses = 0;
  hits = 1;
  /** Where it is believed to be in the newest frame. */
  box: Box;
  readonly #motion: BoxFilter;
  readonly #label: LabelVotes;
  readonly #stillness: Stillness;
  #score: number;

  constructor(detection: Detection, atMs: number, parameters: TrackerParameters) {
    this.firstSeenMs = atMs;
    this.lastSeenMs = atMs;
    this.box = detection.box;
    this.#motion = new BoxFilter(detection.box, parameters.noise);
    this.#label = new LabelVotes(detection.label);
    this.#stillness = new Stillness(detection.box, atMs, parameters.stationary);
    this.#score = detection.score;
  }

  get confirmed(): boolean {
    return this.id > 0;
  }

  get label(): string {
    return this.#label.label;
  }

  predict(seconds: number): void {
    if (this.misses > 0) this.#motion.holdSize();
    this.#motion.predict(seconds);
    this.box = this.#motion.box;
  }

  see(detection: Detection, atMs: number): void {
    this.#motion.correct(detection.box);
    this.box = this.#motion.box;
    this.#label.cast(detection.label, detection.score);
    this.#stillness.observe(this.box, atMs);
    this.#score = detection.score;
    this.lastSeenMs = atMs;
    this.misses = 0;
    this.hits += 1;
  }

  miss(): void {
    this.misses += 1;
  }

  get track(): Track {
    const [x1, y1, x2, y2] = this.box;
    return {
      id: this.id,
      label: this.label,
      score: this.#score,
      box: [coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2)],
      velocity: this.#motion.velocity,
      firstSeenMs: this.firstSeenMs,
      lastSeenMs: this.lastSeenMs,
      coasting: this.misses > 0,
      stationary: this.#stillness.stationary,
    };
  }
}

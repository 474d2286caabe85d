/** What the tracker can be told. The thresholds belong to the detector's manifest; the rest ships as measured in README.md. */
import type { TrackerConfig } from '#config/schema.ts';
import type { MotionNoise } from './box-filter.ts';

/** Scores mean something else with every detector: these come with the model. */
export interface ScoreThresholds {
  /** Least score that may continue a track. */
  readonly low: number;
  /** Least score of the first pass. */
  readonly high: number;
  /** Least score that may start a track. */
  readonly birth: number;
}

export interface TrackerParameters extends ScoreThresholds {
  /** How long a track lives on without a detection. */
  readonly coastMs: number;
  /** A young track lives on this many times as long as it was seen, so that a false alarm of two frames is soon over. */
  readonly youngCoast: number;
  /** Detections until a track is told of. */
  readonly minHits: number;
  /** Frames without a detection after which a track that was not told of yet is forgotten. */
  readonly tentativeMisses: number;
  /** Least overlap with the predicted box: first pass, low scores, buffered boxes. */
  readonly gates: { readonly high: number; readonly low: number; readonly buffered: number };
  /** By how much of its size a box grows on each side in the buffered pass. */
  readonly buffer: number;
  /** A lost track is taken up this far from where it is believed to be, in box sizes: at once, and more with each second. */
  readonly rebirth: {
    readonly reach: number;
    readonly reachPerSecond: number;
    readonly maxReach: number;
    readonly sizeRatio: number;
  };
  /** A detection that overlaps a continued track of its group by this much is the same object under another name. */
  readonly duplicate: number;
  readonly noise: MotionNoise;
  /** Stationary after this long within `enter` box sizes of a place; moving again beyond `leave`. */
  readonly stationary: { readonly afterMs: number; readonly enter: number; readonly leave: number };
  /** Labels that detectors take for each other: one track may change between them. */
  readonly groups: readonly (readonly string[])[];
  /** Most tracks at once, and most detections of a frame that are looked at (the best ones). */
  readonly maxTracks: number;
  readonly maxDetections: number;
  /** Movement is extrapolated over this much of a gap between two frames. */
  readonly predictMs: number;
  /** Nothing is continued over a gap longer than this and than `coastMs`. */
  readonly maxGapMs: number;
}

export const defaultParameters: Omit<TrackerParameters, keyof ScoreThresholds> = {
  coastMs: 2_000,
  youngCoast: 10,
  minHits: 2,
  tentativeMisses: 1,
  gates: { high: 0.2, low: 0.4, buffered: 0.3 },
  buffer: 0.3,
  rebirth: { reach: 0.5, reachPerSecond: 0.8, maxReach: 2.5, sizeRatio: 1.8 },
  duplicate: 0.7,
  noise: { centre: 0.15, size: 0.12, speed: 2, acceleration: 0.65, growth: 0.2 },
  stationary: { afterMs: 3_000, enter: 0.2, leave: 0.4 },
  groups: [
    ['car', 'bus', 'truck'],
    ['bicycle', 'motorcycle'],
  ],
  maxTracks: 256,
  maxDetections: 256,
  predictMs: 2_000,
  maxGapMs: 10_000,
};

/** The parameters that ship, for a detector and a configuration. */
export const trackerParameters = (
  { low, high, birth }: ScoreThresholds,
  config: Partial<TrackerConfig> = {},
): TrackerParameters => ({
  ...defaultParameters,
  // Whoever lowers the birth threshold wants these to be followed as well.
  low: Math.min(low, high, birth),
  high: Math.min(high, birth),
  birth,
  coastMs: config.coast ?? defaultParameters.coastMs,
});

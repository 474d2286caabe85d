/** An object over time: detections of successive frames that are believed to be the same thing. */
import type { Box } from './box.ts';

export interface Track {
  /** From 1, unique for a camera since the tracker was made. */
  readonly id: number;
  readonly label: string;
  /** Score of the newest detection, 0..1. */
  readonly score: number;
  /** Where it is in the newest frame, or where it is believed to be while it coasts; normalised. */
  readonly box: Box;
  /** Movement of the centre, picture widths and heights a second. */
  readonly velocity: readonly [x: number, y: number];
  /** Milliseconds on the scale of the frames' time. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** True in frames without a detection of it. */
  readonly coasting: boolean;
  /** True while it has hardly moved for some seconds. */
  readonly stationary: boolean;
}

/** All tracks of one camera after one frame. */
export interface TrackedFrame {
  readonly camera: string;
  /** Frame number. */
  readonly frame: number;
  /** The frame's time in milliseconds: monotonic for live cameras, position in the video in a replay. */
  readonly atMs: number;
  /** Wall time of capture. */
  readonly wallMs: number;
  readonly tracks: readonly Track[];
}

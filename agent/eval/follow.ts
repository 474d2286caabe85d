/**
 * A tracker run over recorded detections.
 *
 *   rows of detections --normalised, frame by frame--> step --tracks that are seen now--> rows with ids
 */
import type { Detection } from '#agent/domain/detection.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { Track } from '#agent/domain/track.ts';
import type { MotRow } from './mot.ts';

/** What `agent/vision/tracker` is to this room. */
export interface Follower {
  step(detections: readonly Detection[], atMs: number): readonly Track[];
}

export interface Footage {
  readonly fps: number;
  /** Pixels; boxes are divided by it. */
  readonly size: PictureSize;
}

/**
 * For the detections that come with MOT15 sequences in SORT's repository: Faster R-CNN's softmax, where nine boxes of
 * ten score above 0.94 and false ones still 0.6. A detector of ours brings its thresholds in its manifest.
 */
export const mot15Thresholds = { low: 0.3, high: 0.7, birth: 0.9 } as const;

/** Boxes of one class: files in this format name none. @returns rows without coasting tracks */
export function follow(detections: readonly MotRow[], follower: Follower, { fps, size }: Footage): MotRow[] {
  const byFrame = Map.groupBy(detections, ({ frame }) => frame);
  const lastFrame = detections.reduce((last, { frame }) => Math.max(last, frame), 0);
  const followed: MotRow[] = [];
  for (let frame = 1; frame <= lastFrame; frame += 1) {
    const seen = (byFrame.get(frame) ?? []).map((row) => normalised(row, size));
    for (const track of follower.step(seen, ((frame - 1) * 1000) / fps)) {
      if (!track.coasting) followed.push(inPixels(track, frame, size));
    }
  }
  return followed;
}

/** The least picture that holds all boxes. */
export const extentOf = (rows: readonly MotRow[]): PictureSize => ({
  width: Math.max(1, Math.ceil(rows.reduce((most, { x, width }) => Math.max(most, x + width), 0))),
  height: Math.max(1, Math.ceil(rows.reduce((most, { y, height }) => Math.max(most, y + height), 0))),
});

const normalised = ({ x, y, width, height, score }: MotRow, size: PictureSize): Detection => ({
  label: 'person',
  score,
  box: [x / size.width, y / size.height, (x + width) / size.width, (y + height) / size.height],
});

function inPixels({ id, score, box }: Track, frame: number, size: PictureSize): MotRow {
  const [x, y] = [box[0] * size.width, box[1] * size.height];
  return { frame, id, x, y, width: box[2] * size.width - x, height: box[3] * size.height - y, score };
}

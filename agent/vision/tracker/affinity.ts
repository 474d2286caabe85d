/** How likely a detection is the object that was predicted: 0 (no) to 1. */
import { type Box, boxCentre, boxHeight, boxWidth, iou } from '#agent/domain/box.ts';
import type { TrackerParameters } from './parameters.ts';

const grown = (box: Box, part: number): Box => {
  const [x, y] = [boxWidth(box) * part, boxHeight(box) * part];
  return [box[0] - x, box[1] - y, box[2] + x, box[3] + y];
};

/** Intersection over union of the two vertical extents. */
function commonHeight(a: Box, b: Box): number {
  const shared = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return shared > 0 ? shared / (Math.max(a[3], b[3]) - Math.min(a[1], b[1])) : 0;
}

/**
 * IoU, less where heights differ: people who pass one another stand at different depths, so their heads and feet are
 * at different heights while their sides overlap. (M. Yang et al., "Hybrid-SORT: Weak Cues Matter for Online
 * Multi-Object Tracking", AAAI 2024, section 3.3, height-modulated IoU.)
 *
 * @param buffer both boxes are first grown by this part of their size on each side, so that small and fast objects
 *   overlap too. (F. Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier
 *   by Buffering the Matching Space", WACV 2023, section 3.2.)
 */
export function overlap(predicted: Box, seen: Box, buffer = 0): number {
  const plain = buffer === 0 ? iou(predicted, seen) : iou(grown(predicted, buffer), grown(seen, buffer));
  return plain > 0 ? plain * commonHeight(predicted, seen) : 0;
}

/** 1 where it was predicted, 0 out of reach or of another size. Distance in sizes of the predicted box. */
export function nearness(
  predicted: Box,
  seen: Box,
  lostMs: number,
  { reach, reachPerSecond, sizeRatio }: TrackerParameters['rebirth'],
): number {
  const [width, height] = [boxWidth(predicted), boxHeight(predicted)];
  const ratios = [boxWidth(seen) / width, boxHeight(seen) / height];
  if (ratios.some((ratio) => ratio > sizeRatio || ratio * sizeRatio < 1)) return 0;
  const [x, y] = boxCentre(predicted);
  const [seenX, seenY] = boxCentre(seen);
  const distance = Math.hypot((seenX - x) / width, (seenY - y) / height);
  return Math.max(0, 1 - distance / (reach + (reachPerSecond * lostMs) / 1000));
}

/** How likely a detection is the object that was predicted: 0 (no) to 1. */
import { type Box, boxCentre, boxHeight, boxWidth, iou } from '#agent/domain/box.ts';
import type { TrackerParameters } from './parameters.ts';

const grown = (box: Box, part: number): Box => {
  const [x, y] = [boxWidth(box) * part, boxHeight(box) * part];
  return [box[0] - x, box[1] - y, box[2] + x, box[3] + y];
};

/**
 * IoU of boxes grown by a part of their size, so that small and fast objects overlap too. (F. Yang et al., "Hard to
 * Track Objects with Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching Space",
 * WACV 2023, section 3.2.)
 */
export const bufferedIou = (a: Box, b: Box, buffer: number): number => iou(grown(a, buffer), grown(b, buffer));

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

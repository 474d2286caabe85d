/** How likely a detection is the object that was predicted: 0 (no) to 1. */
import { type Box, boxCentre, boxHeight, boxWidth } from '#agent/domain/box.ts';
import type { TrackerParameters } from './parameters.ts';

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
  const [x1, y1, x2, y2] = predicted;
  const [seenX1, seenY1, seenX2, seenY2] = seen;
  const left = Math.max(x1 - buffer * (x2 - x1), seenX1 - buffer * (seenX2 - seenX1));
  const right = Math.min(x2 + buffer * (x2 - x1), seenX2 + buffer * (seenX2 - seenX1));
  const commonHeight = Math.min(y2, seenY2) - Math.max(y1, seenY1);
  if (right <= left || commonHeight <= 0) return 0;
  const top = Math.max(y1 - buffer * (y2 - y1), seenY1 - buffer * (seenY2 - seenY1));
  const bottom = Math.min(y2 + buffer * (y2 - y1), seenY2 + buffer * (seenY2 - seenY1));
  const shared = (right - left) * (bottom - top);
  const growth = (1 + 2 * buffer) ** 2;
  const union = growth * ((x2 - x1) * (y2 - y1) + (seenX2 - seenX1) * (seenY2 - seenY1)) - shared;
  return (shared / union) * (commonHeight / (Math.max(y2, seenY2) - Math.min(y1, seenY1)));
}

/** 1 where it was predicted, 0 out of reach or of another size. Distance in sizes of the predicted box. */
export function nearness(
  predicted: Box,
  seen: Box,
  lostMs: number,
  { reach, reachPerSecond, maxReach, sizeRatio }: TrackerParameters['rebirth'],
): number {
  const [width, height] = [boxWidth(predicted), boxHeight(predicted)];
  const ratios = [boxWidth(seen) / width, boxHeight(seen) / height];
  if (ratios.some((ratio) => ratio > sizeRatio || ratio * sizeRatio < 1)) return 0;
  const [x, y] = boxCentre(predicted);
  const [seenX, seenY] = boxCentre(seen);
  const distance = Math.hypot((seenX - x) / width, (seenY - y) / height);
  return Math.max(0, 1 - distance / Math.min(maxReach, reach + (reachPerSecond * lostMs) / 1000));
}

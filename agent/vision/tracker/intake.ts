/** What a detection must be to be believed at all. */
import { type Box, boxHeight, boxWidth } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';

const near = (value: number): boolean => Number.isFinite(value) && value >= -1 && value <= 2;

const hasArea = (box: Box): boolean => box.every(near) && boxWidth(box) > 1e-4 && boxHeight(box) > 1e-4;

/** Numbers, a box with an area (a ten-thousandth of the picture each way), not far outside the picture. */
export const isUsable = ({ score, box }: Detection): boolean => Number.isFinite(score) && hasArea(box);

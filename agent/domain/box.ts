/** Rectangles and points in normalised picture coordinates: 0..1, x to the right, y down. */

/** x1, y1, x2, y2 of the upper left and lower right corner. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];
export type Point = readonly [x: number, y: number];

export const boxWidth = (box: Box): number => box[2] - box[0];
export const boxHeight = (box: Box): number => box[3] - box[1];
export const boxArea = (box: Box): number => Math.max(0, boxWidth(box)) * Math.max(0, boxHeight(box));
export const boxCentre = (box: Box): Point => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
/** Where the object stands: the middle of the lower edge. */
export const boxFoot = (box: Box): Point => [(box[0] + box[2]) / 2, box[3]];

export function intersectionArea(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Intersection over union, 0..1; 0 when both are empty. */
export function iou(a: Box, b: Box): number {
  const shared = intersectionArea(a, b);
  const union = boxArea(a) + boxArea(b) - shared;
  return union > 0 ? shared / union : 0;
}

const clampUnit = (value: number): number => Math.min(1, Math.max(0, value));

/** The part of the box that lies inside the picture. */
export const clampBox = (box: Box): Box => [clampUnit(box[0]), clampUnit(box[1]), clampUnit(box[2]), clampUnit(box[3])];

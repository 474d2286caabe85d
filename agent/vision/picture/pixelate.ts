/**
 * Hides people in a raw picture: blocks of one mean colour, too large for a face to survive.
 *
 *   boxes of people --hiddenRegion--> upper thirds, with a margin --pixelate--> the same bytes, blocks in place
 */
import type { Box } from '#agent/domain/box.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { Raster } from '#agent/core/raster.ts';

/** Whole pixels; x2 and y2 excluded. */
export interface Region {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  /** Side of a block. */
  readonly block: number;
}

/** What must not be seen: boxes of people, or the whole picture where it is not known who is in it. */
export type Hidden = readonly Box[] | 'everything';

/** A person lower than this is hidden from head to foot: the box is too coarse to say where a third ends. */
const smallPersonPx = 24;
const leastBlockPx = 8;
const blocksDown = 5;
/** Of the box's width at each side, and of its height above: boxes are a little off, and coasting ones more. */
const marginAside = 0.12;
const marginAbove = 0.06;
/** A head is about as high as it is wide, and a close or lying person shows more head than a third of the box. */
const headPerWidth = 0.75;

/**
 * Where one person's head may be: the upper third of the box, more of it where the box is wide (close to the camera,
 * cut by the picture's edge, lying), with a margin.
 * @returns undefined when the box does not touch the picture; the whole picture when the box is not finite
 */
export function hiddenRegion(box: Box, size: PictureSize): Region | undefined {
  if (!box.every(Number.isFinite)) return wholePicture(size);
  const [left, right] = [box[0] * size.width, box[2] * size.width];
  const [top, bottom] = [box[1] * size.height, box[3] * size.height];
  const width = right - left;
  const height = bottom - top;
  if (width <= 0 || height <= 0) return undefined;
  const depth = height < smallPersonPx ? height : Math.min(height, Math.max(height / 3, width * headPerWidth));
  const region = {
    x1: Math.max(0, Math.floor(left - width * marginAside - 1)),
    y1: Math.max(0, Math.floor(top - height * marginAbove - 1)),
    x2: Math.min(size.width, Math.ceil(right + width * marginAside + 1)),
    y2: Math.min(size.height, Math.ceil(top + depth + 1)),
  };
  if (region.x1 >= region.x2 || region.y1 >= region.y2) return undefined;
  return { ...region, block: Math.max(leastBlockPx, Math.ceil(depth / blocksDown)) };
}

/** The whole picture in blocks so large that a face close to the camera cannot be told either. */
export const wholePicture = (size: PictureSize): Region => ({
  x1: 0,
  y1: 0,
  x2: size.width,
  y2: size.height,
  block: Math.max(16, Math.ceil(Math.min(size.width, size.height) / 9)),
});

/** Changes the picture's bytes in place; pixels outside the regions stay as they are. */
export function pixelate(raster: Raster, hidden: Hidden): void {
  const regions =
    hidden === 'everything'
      ? [wholePicture(raster)]
      : hidden.map((box) => hiddenRegion(box, raster)).filter((region) => region !== undefined);
  for (const region of regions) pixelateRegion(raster, region);
}

function pixelateRegion(raster: Raster, { x1, y1, x2, y2, block }: Region): void {
  for (let y = y1; y < y2; y += block) {
    for (let x = x1; x < x2; x += block) {
      flatten(raster, x, y, Math.min(x2, x + block), Math.min(y2, y + block));
    }
  }
}

function flatten({ rgb, width }: Raster, x1: number, y1: number, x2: number, y2: number): void {
  const sum = [0, 0, 0];
  for (let y = y1; y < y2; y++) {
    for (let at = (y * width + x1) * 3; at < (y * width + x2) * 3; at += 3) {
      for (let channel = 0; channel < 3; channel++) sum[channel] = (sum[channel] ?? 0) + (rgb[at + channel] ?? 0);
    }
  }
  const count = (x2 - x1) * (y2 - y1);
  const mean = sum.map((total) => Math.round(total / count));
  for (let y = y1; y < y2; y++) {
    for (let at = (y * width + x1) * 3; at < (y * width + x2) * 3; at += 3) rgb.set(mean, at);
  }
}

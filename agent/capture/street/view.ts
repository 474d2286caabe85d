/** How the camera of the street sees the ground: level, at a fixed height. X to the right, Z away from it, metres. */
import type { PixelPoint } from '#agent/core/raster.ts';

export const pictureSize = { width: 960, height: 540 } as const;
const focalPx = 980;
const cameraHeightM = 3.4;
const horizonPx = 118;

/** Pixels a metre at this distance. */
export const scaleAt = (z: number): number => focalPx / z;

/** Where a point of the ground, or `up` metres above it, is seen. */
export const project = (x: number, z: number, up = 0): PixelPoint => [
  pictureSize.width / 2 + x * scaleAt(z),
  horizonPx + (cameraHeightM - up) * scaleAt(z),
];

/** Half of the width that is seen at this distance, metres. */
export const halfWidthAt = (z: number): number => pictureSize.width / 2 / scaleAt(z);

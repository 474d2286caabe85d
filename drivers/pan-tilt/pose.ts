/** Where a head looks, and how it turns: the words both protocols are translated into. */

/** Degrees; pan clockwise seen from above, tilt upwards; zoom from 0, wide, to 1. */
export interface Pose {
  readonly pan: number;
  readonly tilt: number;
  readonly zoom: number;
}

/** Of the fastest, -1 to 1: pan to the right, tilt upwards, zoom in. */
export type Velocity = Pose;

export const still: Velocity = { pan: 0, tilt: 0, zoom: 0 };

/** From -180, not included, to 180. */
export const normalised = (degrees: number): number => {
  const turned = ((degrees % 360) + 360) % 360;
  return turned > 180 ? turned - 360 : turned;
};

/** Whether two are the same but for what a head's own steps and rounding make. */
export const isNear = (a: Pose, b: Pose, degrees: number): boolean =>
  Math.abs(normalised(a.pan - b.pan)) <= degrees &&
  Math.abs(a.tilt - b.tilt) <= degrees &&
  Math.abs(a.zoom - b.zoom) <= degrees / 100;

/** A share of the fastest as a number of 1 to `most`; 0 for none. */
export const speedOf = (share: number, most: number): number =>
  share === 0 ? 0 : Math.max(1, Math.round(Math.abs(share) * most));

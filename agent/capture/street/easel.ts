/**
 * What the street is painted on: pixels, and beside them whose each pixel is, so that the truth is what can be seen.
 *
 *   shapes, far to near --paint--> rgb24
 *                        \-own---> owner of each pixel --> visible boxes
 */
import { type Colour, type PixelPoint, type Raster, blend, coverCapsule, coverPolygon } from '#agent/core/raster.ts';

export interface Easel {
  readonly raster: Raster;
  readonly owners: Uint8Array;
  /** 0: the street itself. */
  owner: number;
  /** Pixels that an owner was given, whoever came before it later; by owner. */
  readonly painted: Uint32Array;
}

/** A pixel belongs to a shape that covers at least this much of it. */
const ownedFrom = 0.5;
/** Light falls from the upper left. */
const light = { x: -0.75, y: -0.55 };

export function paintPolygon(easel: Easel, corners: readonly PixelPoint[], colour: Colour, alpha = 1): void {
  const { raster } = easel;
  coverPolygon(raster, corners, (index, coverage) => {
    blend(raster.rgb, index, colour, coverage * alpha);
    if (coverage >= ownedFrom && alpha > 0.5) own(easel, index);
  });
}

/** A limb: round, lit from one side. */
export function paintLimb(
  easel: Easel,
  from: PixelPoint,
  to: PixelPoint,
  radii: readonly [from: number, to: number],
  colour: Colour,
): void {
  const { raster } = easel;
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const towardsLight = (-(to[1] - from[1]) * light.x + (to[0] - from[0]) * light.y) / length;
  coverCapsule(raster, from, to, radii, (index, coverage, across) => {
    const side = Math.max(-1, Math.min(1, across));
    const shade = 0.68 + 0.3 * Math.sqrt(1 - side * side) + 0.2 * side * towardsLight;
    blend(raster.rgb, index, shaded(colour, shade), coverage);
    if (coverage >= ownedFrom) own(easel, index);
  });
}

function own({ owners, owner, painted }: Easel, index: number): void {
  if (owners[index] === owner) return;
  owners[index] = owner;
  painted[owner] = (painted[owner] ?? 0) + 1;
}

export const shaded = (colour: Colour, by: number): Colour => [
  Math.min(255, colour[0] * by),
  Math.min(255, colour[1] * by),
  Math.min(255, colour[2] * by),
];

export function ellipse(centre: PixelPoint, radiusX: number, radiusY: number): PixelPoint[] {
  return Array.from({ length: 20 }, (_corner, index) => {
    const angle = (index / 20) * 2 * Math.PI;
    return [centre[0] + radiusX * Math.cos(angle), centre[1] + radiusY * Math.sin(angle)];
  });
}

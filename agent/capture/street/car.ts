/** A passing car, seen from the side: body, windows, wheels, lamps. */
import type { Colour, PixelPoint } from '#agent/core/raster.ts';
import type { Random } from '#agent/core/random.ts';
import { type Easel, ellipse, paintPolygon, shaded } from './easel.ts';
import { project, scaleAt } from './view.ts';

export interface CarLooks {
  readonly colour: Colour;
  /** Metres. */
  readonly length: number;
  readonly height: number;
}

const paints: readonly Colour[] = [
  [172, 30, 34],
  [196, 198, 202],
  [40, 62, 110],
  [36, 38, 42],
  [228, 228, 224],
  [88, 104, 96],
];

export const randomCar = (random: Random): CarLooks => ({
  colour: paints[Math.floor(random() * paints.length)] ?? [172, 30, 34],
  length: 4.1 + 0.5 * random(),
  height: 1.42 + 0.16 * random(),
});

/** Outlines as shares of length (0 rear, 1 front) and height. */
const body: readonly PixelPoint[] = [
  [0.01, 0.3],
  [0, 0.48],
  [0.02, 0.62],
  [0.1, 0.68],
  [0.2, 0.95],
  [0.27, 1],
  [0.5, 1],
  [0.58, 0.95],
  [0.72, 0.68],
  [0.9, 0.6],
  [0.98, 0.52],
  [1, 0.4],
  [0.99, 0.22],
  [0.04, 0.2],
];
const rearWindow: readonly PixelPoint[] = [
  [0.15, 0.68],
  [0.225, 0.91],
  [0.29, 0.94],
  [0.4, 0.94],
  [0.4, 0.68],
];
const frontWindow: readonly PixelPoint[] = [
  [0.425, 0.68],
  [0.425, 0.94],
  [0.5, 0.94],
  [0.56, 0.9],
  [0.67, 0.68],
];
const sill: readonly PixelPoint[] = [
  [0.02, 0.36],
  [0.99, 0.36],
  [0.99, 0.22],
  [0.04, 0.2],
];

/** @param direction 1 to the right, -1 to the left  @param x of its middle, metres */
export function drawCar(easel: Easel, looks: CarLooks, x: number, z: number, direction: 1 | -1): void {
  const scale = scaleAt(z);
  const at = ([along, up]: PixelPoint): PixelPoint =>
    project(x + direction * (along - 0.5) * looks.length, z, up * looks.height);
  const shape = (outline: readonly PixelPoint[], colour: Colour, alpha = 1): void =>
    paintPolygon(easel, outline.map(at), colour, alpha);
  const owner = easel.owner;
  easel.owner = 0;
  paintPolygon(easel, ellipse(project(x, z), looks.length * 0.53 * scale, 0.2 * scale), [18, 18, 22], 0.45);
  easel.owner = owner;
  shape(body, looks.colour);
  shape(sill, shaded(looks.colour, 0.7));
  shape(
    [
      [0.02, 0.6],
      [0.06, 0.64],
      [0.9, 0.58],
      [0.97, 0.5],
      [0.02, 0.53],
    ],
    shaded(looks.colour, 1.16),
    0.6,
  );
  for (const glass of [rearWindow, frontWindow]) shape(glass, [38, 50, 60]);
  shape(
    [
      [0.19, 0.8],
      [0.225, 0.91],
      [0.29, 0.94],
      [0.33, 0.94],
    ],
    [150, 170, 184],
    0.5,
  );
  shape(
    [
      [0.44, 0.8],
      [0.44, 0.94],
      [0.5, 0.94],
    ],
    [150, 170, 184],
    0.5,
  );
  shape(
    [
      [0.412, 0.3],
      [0.416, 0.3],
      [0.416, 0.66],
      [0.412, 0.66],
    ],
    shaded(looks.colour, 0.55),
  );
  shape(
    [
      [0.93, 0.46],
      [0.985, 0.45],
      [0.97, 0.54],
      [0.92, 0.56],
    ],
    [250, 246, 220],
  );
  shape(
    [
      [0.005, 0.48],
      [0.035, 0.48],
      [0.045, 0.6],
      [0.02, 0.6],
    ],
    [190, 24, 22],
  );
  for (const along of [0.19, 0.81]) {
    const centre = at([along, 0.21]);
    const radius = 0.32 * scale;
    paintPolygon(easel, ellipse(centre, radius * 1.08, radius * 1.08), shaded(looks.colour, 0.4));
    paintPolygon(easel, ellipse(centre, radius, radius), [22, 22, 24]);
    paintPolygon(easel, ellipse(centre, radius * 0.62, radius * 0.62), [150, 152, 156]);
    paintPolygon(easel, ellipse(centre, radius * 0.2, radius * 0.2), [60, 60, 64]);
  }
}

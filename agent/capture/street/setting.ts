/** The street without anybody: sky, houses, trees, pavements and road, painted once. */
import { type Colour, type PixelPoint, type Raster, fillPolygon, fillRectangle } from '#agent/core/raster.ts';
import { type Random, seededRandom } from '#agent/core/random.ts';
import { ellipse, shaded } from './easel.ts';
import { pictureSize, project, scaleAt } from './view.ts';

const { width, height } = pictureSize;
/** Distances, metres: the houses' foot, and the edges of pavements and road. */
const houses = 19.2;
const farKerb = 14.6;
const nearKerb = 10.1;

export function paintSetting(seed: number): Uint8Array {
  const random = seededRandom(seed ^ 0x51ed270b);
  const raster: Raster = { width, height, rgb: new Uint8Array(width * height * 3) };
  fillRectangle(raster, [0, 0, width, height], [196, 208, 218]);
  paintHouses(raster, random);
  paintGround(raster);
  for (const x of [-7.4, 0.9, 8.6]) paintTree(raster, x, 18.4, random);
  paintStop(raster);
  roughen(raster, random);
  return raster.rgb;
}

const foot = (z: number): number => project(0, z)[1];
const strip = (far: number, near: number): [number, number, number, number] => [0, foot(far), width, foot(near)];

function paintHouses(raster: Raster, random: Random): void {
  const walls: readonly Colour[] = [
    [168, 120, 98],
    [196, 184, 160],
    [150, 148, 146],
    [182, 152, 118],
    [138, 112, 100],
  ];
  const base = foot(houses);
  const metre = scaleAt(houses);
  let left = -random() * 120;
  let index = Math.floor(random() * walls.length);
  while (left < width) {
    const right = left + metre * (5.5 + 3 * random());
    const wall = walls[index++ % walls.length] ?? [168, 120, 98];
    fillRectangle(raster, [left, 0, right, base], wall);
    fillRectangle(raster, [left, base - metre * 0.5, right, base], shaded(wall, 0.6));
    fillRectangle(raster, [right - 3, 0, right, base], shaded(wall, 0.7));
    paintGroundFloor(raster, left, right, base, metre, wall);
    fillRectangle(raster, [left, base - metre * 3.35, right, base - metre * 3.1], shaded(wall, 1.12));
    for (let x = left + metre * 0.8; x + metre * 1.1 < right; x += metre * 1.9) {
      paintWindow(raster, x, base - metre * 5.6, metre * 1.1, metre * 1.6);
    }
    left = right;
  }
}

function paintGroundFloor(
  raster: Raster,
  left: number,
  right: number,
  base: number,
  metre: number,
  wall: Colour,
): void {
  const door = left + metre * 0.9;
  fillRectangle(raster, [door - 4, base - metre * 2.35, door + metre + 4, base], shaded(wall, 1.2));
  fillRectangle(raster, [door, base - metre * 2.25, door + metre, base], [58, 66, 62]);
  for (let x = door + metre * 1.6; x + metre * 1.5 < right; x += metre * 2) {
    paintWindow(raster, x, base - metre * 2.3, metre * 1.4, metre * 1.3);
  }
}

function paintWindow(raster: Raster, x: number, y: number, wide: number, high: number): void {
  fillRectangle(raster, [x - 4, y - 4, x + wide + 4, y + high + 6], [212, 208, 198]);
  fillRectangle(raster, [x, y, x + wide, y + high], [72, 86, 98]);
  fillPolygon(
    raster,
    [
      [x, y],
      [x + wide * 0.6, y],
      [x, y + high * 0.8],
    ],
    [132, 150, 164],
    0.5,
  );
  fillRectangle(raster, [x + wide / 2 - 1.5, y, x + wide / 2 + 1.5, y + high], [206, 202, 192]);
}

function paintGround(raster: Raster): void {
  fillRectangle(raster, strip(houses, farKerb), [158, 154, 148]);
  fillRectangle(raster, strip(farKerb, nearKerb), [92, 94, 98]);
  fillRectangle(raster, [0, foot(nearKerb), width, height], [164, 160, 152]);
  for (const kerb of [farKerb, nearKerb]) {
    fillRectangle(raster, strip(kerb + 0.12, kerb - 0.06), [190, 188, 182]);
    fillRectangle(raster, strip(kerb - 0.06, kerb - 0.2), [70, 70, 72]);
  }
  for (let x = -14; x < 14; x += 3.2) {
    fillPolygon(raster, quad(x, x + 1.5, 12.45, 12.25), [206, 204, 196], 0.85);
  }
  for (let stripe = 0; stripe < 5; stripe++) {
    fillPolygon(
      raster,
      quad(-1.9 + stripe * 0.72, -1.5 + stripe * 0.72, farKerb - 0.4, nearKerb + 0.3),
      [214, 212, 206],
      0.8,
    );
  }
  for (let z = houses - 0.6; z > farKerb; z -= 0.9) fillRectangle(raster, strip(z, z - 0.03), [138, 134, 128], 0.7);
  for (let z = nearKerb - 0.6; z > 6; z -= 0.8) fillRectangle(raster, strip(z, z - 0.03), [142, 138, 130], 0.7);
  for (let x = -16; x < 16; x += 0.9) {
    fillPolygon(raster, quad(x, x + 0.03, houses, farKerb + 0.15), [138, 134, 128], 0.6);
    fillPolygon(raster, quad(x, x + 0.03, nearKerb - 0.3, 6), [142, 138, 130], 0.6);
  }
}

const quad = (x1: number, x2: number, far: number, near: number): PixelPoint[] => [
  project(x1, far),
  project(x2, far),
  project(x2, near),
  project(x1, near),
];

function paintTree(raster: Raster, x: number, z: number, random: Random): void {
  const scale = scaleAt(z);
  const [left, base] = project(x, z);
  fillPolygon(raster, ellipse([left + 10, base], 0.9 * scale, 0.12 * scale), [70, 70, 70], 0.35);
  fillRectangle(raster, [left - 0.11 * scale, base - 3.2 * scale, left + 0.11 * scale, base], [82, 66, 52]);
  fillRectangle(raster, [left - 0.11 * scale, base - 3.2 * scale, left - 0.04 * scale, base], [112, 92, 72]);
  for (let leaf = 0; leaf < 70; leaf++) {
    const angle = random() * 2 * Math.PI;
    const reach = Math.sqrt(random()) * 1.5 * scale;
    const centre: PixelPoint = [left + Math.cos(angle) * reach, base - 4.2 * scale + Math.sin(angle) * reach * 0.85];
    const tone = 0.7 + 0.5 * random() - (Math.sin(angle) * reach) / scale / 6;
    fillPolygon(raster, ellipse(centre, 0.28 * scale, 0.24 * scale), shaded([86, 118, 62], tone), 0.9);
  }
}

/** Where people wait: a sign on a post. */
function paintStop(raster: Raster): void {
  const metre = scaleAt(18);
  const [x, y] = project(7.6, 18);
  fillRectangle(raster, [x - 2, y - metre * 2.7, x + 2, y], [90, 94, 98]);
  fillRectangle(raster, [x - metre * 0.3, y - metre * 2.9, x + metre * 0.3, y - metre * 2.3], [30, 84, 150]);
  fillRectangle(raster, [x - metre * 0.2, y - metre * 2.75, x + metre * 0.2, y - metre * 2.45], [236, 238, 240]);
}

/** Unevenness at two scales, so that no surface is one flat colour. */
function roughen({ rgb }: Raster, random: Random): void {
  const cell = 6;
  const columns = Math.ceil(width / cell) + 2;
  const coarse = Float32Array.from({ length: columns * (Math.ceil(height / cell) + 2) }, () => random() - 0.5);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const patch = coarse[Math.floor(y / cell) * columns + Math.floor(x / cell)] ?? 0;
      const change = patch * 9 + (random() - 0.5) * 10;
      const at = (y * width + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        rgb[at + channel] = Math.max(0, Math.min(255, (rgb[at + channel] ?? 0) + change));
      }
    }
  }
}

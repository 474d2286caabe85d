import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Raster } from '#agent/core/raster.ts';
import { seededRandom } from '#agent/core/random.ts';
import type { Box } from '#agent/domain/box.ts';
import { hiddenRegion, pixelate, wholePicture } from './pixelate.ts';

/** Every pixel differs from its neighbours, so that a survivor shows. */
function noise(width: number, height: number, seed = 1): Raster {
  const random = seededRandom(seed);
  return { width, height, rgb: Uint8Array.from({ length: width * height * 3 }, () => Math.floor(random() * 256)) };
}

const pixel = ({ rgb, width }: Raster, x: number, y: number): string =>
  rgb.subarray((y * width + x) * 3, (y * width + x) * 3 + 3).join();

const size = { width: 64, height: 48 };

describe('hiddenRegion', () => {
  test('covers the upper third of a standing person, with a margin', () => {
    const region = hiddenRegion([0.4, 0.2, 0.5, 0.8], { width: 1000, height: 1000 });
    expect(region).toMatchObject({ y1: 163, y2: 401, x1: 387, x2: 513 });
  });

  test('covers more where the box is wide: close to the camera the head is more than a third', () => {
    expect(hiddenRegion([0.2, 0.4, 0.8, 1], { width: 1000, height: 1000 })?.y2).toBeGreaterThan(800);
  });

  test('covers a tiny person wholly', () => {
    const region = hiddenRegion([0.5, 0.5, 0.51, 0.52], { width: 1000, height: 1000 });
    expect(region?.y2).toBeGreaterThanOrEqual(520);
  });

  test('has blocks of at least a sixth of the head region, and never below eight pixels', () => {
    expect(hiddenRegion([0, 0, 0.2, 0.9], { width: 1000, height: 1000 })?.block).toBeGreaterThanOrEqual(300 / 6);
    expect(hiddenRegion([0, 0, 0.01, 0.03], { width: 1000, height: 1000 })?.block).toBe(8);
  });

  test.each<[string, Box]>([
    ['right of the picture', [1.3, 0, 1.5, 1]],
    ['above the picture', [0, -1, 0.1, -0.5]],
    ['without an area', [0.5, 0.5, 0.5, 0.9]],
    ['upside down', [0.5, 0.9, 0.6, 0.5]],
  ])('is nothing for a box %s', (_where, box) => {
    expect(hiddenRegion(box, size)).toBeUndefined();
  });

  test('is the whole picture where a box is no box: nobody knows who would be left', () => {
    expect(hiddenRegion([Number.NaN, 0, 1, 1], size)).toEqual(wholePicture(size));
    expect(hiddenRegion([0, 0, Number.POSITIVE_INFINITY, 1], size)).toEqual(wholePicture(size));
  });
});

describe('pixelate', () => {
  test('gives each block the mean of what it held', () => {
    const raster = {
      width: 8,
      height: 8,
      rgb: new Uint8Array(8 * 8 * 3).map((_value, index) => (index % 6 < 3 ? 0 : 200)),
    };
    pixelate(raster, [[0, 0, 1, 1]]);
    expect([...raster.rgb]).toEqual(Array(8 * 8 * 3).fill(100));
  });

  test('leaves no two pixels of a block apart, and none outside touched', () => {
    const coordinate = fc.double({ min: -0.5, max: 1.5, noNaN: true });
    fc.assert(
      fc.property(fc.tuple(coordinate, coordinate, coordinate, coordinate), fc.nat(1000), ([a, b, c, d], seed) => {
        const box: Box = [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
        const before = noise(size.width, size.height, seed);
        const after = { ...before, rgb: before.rgb.slice() };
        pixelate(after, [box]);
        const region = hiddenRegion(box, size);
        for (let y = 0; y < size.height; y++) {
          for (let x = 0; x < size.width; x++) {
            const inside = region && x >= region.x1 && x < region.x2 && y >= region.y1 && y < region.y2;
            if (!inside) {
              expect(pixel(after, x, y)).toBe(pixel(before, x, y));
              continue;
            }
            const cornerX = region.x1 + Math.floor((x - region.x1) / region.block) * region.block;
            const cornerY = region.y1 + Math.floor((y - region.y1) / region.block) * region.block;
            expect(pixel(after, x, y)).toBe(pixel(after, cornerX, cornerY));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('hides at least the upper third of whatever part of a person is in the picture', () => {
    const coordinate = fc.double({ min: -0.2, max: 1.2, noNaN: true });
    fc.assert(
      fc.property(
        coordinate,
        coordinate,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (x, y, wide, high) => {
          const region = hiddenRegion([x, y, x + wide, y + high], size);
          const third = [Math.max(0, x), Math.max(0, y), Math.min(1, x + wide), Math.min(1, y + high / 3)] as const;
          if (third[0] >= third[2] || third[1] >= third[3]) return;
          expect(region?.x1).toBeLessThanOrEqual(third[0] * size.width);
          expect(region?.y1).toBeLessThanOrEqual(third[1] * size.height);
          expect(region?.x2).toBeGreaterThanOrEqual(third[2] * size.width - 1e-9);
          expect(region?.y2).toBeGreaterThanOrEqual(third[3] * size.height - 1e-9);
        },
      ),
    );
  });

  test('hides everything in blocks of a ninth of the picture', () => {
    const raster = noise(720, 360);
    pixelate(raster, 'everything');
    const seen = new Set(
      Array.from({ length: 720 * 360 }, (_pixel, index) => pixel(raster, index % 720, Math.floor(index / 720))),
    );
    expect(seen.size).toBeLessThanOrEqual(18 * 9);
  });
});

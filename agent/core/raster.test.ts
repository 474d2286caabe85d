import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type PixelPoint,
  type Raster,
  coverCapsule,
  coverPolygon,
  fillPolygon,
  fillRectangle,
  strokeLine,
} from './raster.ts';

const extent = { width: 40, height: 30 };
const black = (): Raster => ({ ...extent, rgb: new Uint8Array(40 * 30 * 3) });

const covered = (corners: readonly PixelPoint[]): number => {
  let area = 0;
  coverPolygon(extent, corners, (_index, coverage) => {
    area += coverage;
  });
  return area;
};

describe('coverPolygon', () => {
  test('covers as much as the polygon is large', () => {
    expect(
      covered([
        [5, 5],
        [15, 5],
        [15, 12],
        [5, 12],
      ]),
    ).toBeCloseTo(70);
    expect(
      covered([
        [2.5, 2],
        [12.5, 2],
        [12.5, 4],
        [2.5, 4],
      ]),
    ).toBeCloseTo(20);
    expect(
      covered([
        [5, 5],
        [25, 5],
        [5, 25],
      ]),
    ).toBeCloseTo(200, 0);
  });

  test('covers what lies inside the picture of what reaches past it', () => {
    expect(
      covered([
        [-100, -100],
        [20, -100],
        [20, 100],
        [-100, 100],
      ]),
    ).toBeCloseTo(20 * 30);
    expect(
      covered([
        [50, 5],
        [60, 5],
        [60, 15],
      ]),
    ).toBe(0);
  });

  test('covers nothing where there is nothing: no corner, a point, a line', () => {
    expect([
      covered([]),
      covered([[5, 5]]),
      covered([
        [5, 5],
        [9, 9],
      ]),
    ]).toEqual([0, 0, 0]);
  });

  test('never leaves the picture, whatever the corners', () => {
    const coordinate = fc.double({ min: -1000, max: 1000, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(coordinate, coordinate), { maxLength: 8 }), (corners) => {
        coverPolygon(extent, corners, (index, coverage) => {
          expect(index).toBeGreaterThanOrEqual(0);
          expect(index).toBeLessThan(40 * 30);
          expect(coverage).toBeGreaterThan(0);
          expect(coverage).toBeLessThanOrEqual(1);
        });
      }),
    );
  });
});

describe('coverCapsule', () => {
  test('tells how far across a pixel is, and covers a disc where it has no length', () => {
    const across = new Map<number, number>();
    coverCapsule(extent, [20, 0], [20, 30], [5, 5], (index, _coverage, side) => across.set(index, side));
    expect(Math.abs(across.get(15 * 40 + 20) ?? 1)).toBeLessThan(0.2);
    expect((across.get(15 * 40 + 16) ?? 0) * (across.get(15 * 40 + 23) ?? 0)).toBeLessThan(0);
    let area = 0;
    coverCapsule(extent, [20, 15], [20, 15], [6, 6], (_index, coverage) => {
      area += coverage;
    });
    expect(area).toBeGreaterThan(Math.PI * 36 * 0.95);
    expect(area).toBeLessThan(Math.PI * 36 * 1.05);
  });
});

describe('fills', () => {
  test('mix in a colour by its alpha, without wrapping round', () => {
    const raster = black();
    fillRectangle(raster, [0, 0, 40, 30], [255, 255, 255]);
    fillRectangle(raster, [0, 0, 20, 30], [0, 100, 255], 0.5);
    expect([...raster.rgb.subarray(0, 3)]).toEqual([128, 178, 255]);
    expect([...raster.rgb.subarray(39 * 3, 40 * 3)]).toEqual([255, 255, 255]);
  });

  test('are clipped', () => {
    const raster = black();
    fillRectangle(raster, [-10, -10, 100, 100], [9, 9, 9]);
    expect(raster.rgb.every((value) => value === 9)).toBe(true);
    fillPolygon(
      raster,
      [
        [-5, -5],
        [100, -5],
        [100, 100],
        [-5, 100],
      ],
      [7, 7, 7],
    );
    expect(raster.rgb.every((value) => value === 7)).toBe(true);
    strokeLine(raster, [-50, 15], [90, 15], 4, [200, 0, 0]);
    expect(raster.rgb[15 * 40 * 3]).toBe(200);
    expect(raster.rgb[0]).toBe(7);
  });
});

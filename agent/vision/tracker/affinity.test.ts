import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Box, iou } from '#agent/domain/box.ts';
import { nearness, overlap } from './affinity.ts';
import { defaultParameters } from './parameters.ts';

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const box: fc.Arbitrary<Box> = fc
  .tuple(unit, unit, fc.double({ min: 0.01, max: 0.5, noNaN: true }), fc.double({ min: 0.01, max: 0.5, noNaN: true }))
  .map(([x, y, width, height]) => [x, y, x + width, y + height]);

const squeeze = ([x1, y1, x2, y2]: Box): Box => [x1 * 0.3, y1 * 0.7, x2 * 0.3, y2 * 0.7];
const moved = (widths: number): Box => [0.4 + 0.1 * widths, 0.4, 0.5 + 0.1 * widths, 0.7];

describe('overlap', () => {
  test('is 1 with itself, symmetric, and at most the IoU', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        expect(overlap(a, a)).toBeCloseTo(1, 9);
        expect(overlap(a, b)).toBeCloseTo(overlap(b, a), 12);
        expect(overlap(a, b)).toBeLessThanOrEqual(iou(a, b) + 1e-9);
        expect(overlap(a, b)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('does not depend on how either axis is scaled', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        expect(overlap(squeeze(a), squeeze(b), 0.3)).toBeCloseTo(overlap(a, b, 0.3), 9);
      }),
    );
  });

  test('tells two people at the same sides apart by the height of their feet', () => {
    const near: Box = [0.4, 0.3, 0.5, 0.8];
    const far: Box = [0.4, 0.25, 0.5, 0.55];
    expect(overlap(near, far)).toBeLessThan(0.6 * iou(near, far));
  });

  test('with a buffer reaches boxes that do not touch', () => {
    const [was, is]: Box[] = [
      [0.1, 0.2, 0.14, 0.3],
      [0.15, 0.2, 0.19, 0.3],
    ] as Box[];
    expect(overlap(was as Box, is as Box)).toBe(0);
    expect(overlap(was as Box, is as Box, 0.3)).toBeGreaterThan(0.1);
  });
});

describe('nearness', () => {
  const predicted: Box = [0.4, 0.4, 0.5, 0.7];
  const near = (seen: Box, lostMs: number): number => nearness(predicted, seen, lostMs, defaultParameters.rebirth);

  test('reaches farther the longer it was lost, and never beyond its limit', () => {
    expect(near(moved(1), 0)).toBe(0);
    expect(near(moved(1), 1_000)).toBeGreaterThan(0);
    expect(near(moved(3), 3_600_000)).toBe(0);
  });

  test('is nothing for another size', () => {
    expect(near([0.4, 0.4, 0.5, 0.55], 0)).toBe(0);
    expect(near([0.3, 0.4, 0.6, 0.7], 0)).toBe(0);
    expect(near(predicted, 0)).toBe(1);
  });
});

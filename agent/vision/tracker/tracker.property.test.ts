import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Detection } from '#agent/domain/detection.ts';
import { parameters } from './scene.ts';
import { Tracker } from './tracker.ts';

const coordinate = fc.oneof(
  { weight: 20, arbitrary: fc.double({ min: -0.2, max: 1.2, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, 0, 1e308) },
);
const detection: fc.Arbitrary<Detection> = fc.record({
  label: fc.constantFrom('person', 'car', 'truck', ''),
  score: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(NaN, 0.9)),
  box: fc.tuple(coordinate, coordinate, coordinate, coordinate),
});
/** Each frame's detections and the time since the one before; sometimes back. */
const frames = fc.array(
  fc.record({
    detections: fc.array(detection, { maxLength: 12 }),
    elapsedMs: fc.oneof(fc.constantFrom(0, 40, 100), fc.double({ min: -50, max: 20_000, noNaN: true })),
  }),
  { maxLength: 40 },
);

test('whatever comes: tracks are finite, ordered, unique, bounded, and no more of them are seen than detections', () => {
  fc.assert(
    fc.property(frames, (given) => {
      const tracker = new Tracker(parameters);
      let atMs = 0;
      let newest = 0;
      for (const { detections, elapsedMs } of given) {
        atMs += elapsedMs;
        const tracks = tracker.step(detections, atMs);
        const ids = tracks.map(({ id }) => id);
        expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
        expect(tracks.filter(({ coasting }) => !coasting).length).toBeLessThanOrEqual(detections.length);
        for (const { box, velocity, firstSeenMs, lastSeenMs, coasting, label } of tracks) {
          expect([...box, ...velocity].every((value) => Number.isFinite(value))).toBe(true);
          expect(box.every((value) => value >= -1 && value <= 2)).toBe(true);
          expect(firstSeenMs <= lastSeenMs && lastSeenMs <= atMs).toBe(true);
          if (!coasting) {
            expect(lastSeenMs).toBe(atMs);
            expect(label === 'truck' || label === 'car' || detections.some((one) => one.label === label)).toBe(true);
          }
        }
        newest = Math.max(newest, ...ids);
      }
      expect(newest).toBeLessThanOrEqual(given.reduce((sum, { detections }) => sum + detections.length, 0));
    }),
    { numRuns: 200 },
  );
});

test('the same calls give the same tracks', () => {
  fc.assert(
    fc.property(frames, (given) => {
      const run = (): unknown => {
        const tracker = new Tracker(parameters);
        let atMs = 0;
        return given.map(({ detections, elapsedMs }) => {
          atMs += elapsedMs;
          return tracker.step(detections, atMs);
        });
      };
      expect(run()).toEqual(run());
    }),
    { numRuns: 50 },
  );
});

import { expect, test } from 'vitest';
import { seededRandom } from '#agent/core/random.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { Track } from '#agent/domain/track.ts';
import { extentOf, follow } from './follow.ts';
import { perturb } from './perturb.ts';
import { at, range, standing } from './rows.ts';

const asTrack = ({ label, score, box }: Detection, id: number, coasting: boolean): Track => ({
  id,
  label,
  score,
  box,
  velocity: [0, 0],
  firstSeenMs: 0,
  lastSeenMs: 0,
  coasting,
  stationary: false,
});

test('a follower gets every frame in time, normalised; its coasting tracks are left out', () => {
  const calls: { count: number; atMs: number }[] = [];
  const follower = {
    step: (detections: readonly Detection[], atMs: number): readonly Track[] => {
      calls.push({ count: detections.length, atMs });
      return detections.map((detection, index) => asTrack(detection, index + 1, index === 1));
    },
  };
  const rows = [at(1, -1, 10, 20), at(1, -1, 50), at(4, -1, 90)];
  const followed = follow(rows, follower, { fps: 25, size: { width: 200, height: 100 } });
  expect(calls).toEqual([
    { count: 2, atMs: 0 },
    { count: 0, atMs: 40 },
    { count: 0, atMs: 80 },
    { count: 1, atMs: 120 },
  ]);
  expect(followed.map(({ frame, id }) => [frame, id])).toEqual([
    [1, 1],
    [4, 1],
  ]);
  expect(followed[0]?.x).toBeCloseTo(10, 9);
  expect(followed[0]?.height).toBeCloseTo(20, 9);
});

test('the extent holds all boxes', () => {
  expect(extentOf([at(1, 1, 10.2, 5), at(1, 2, 300)])).toEqual({ width: 310, height: 25 });
  expect(extentOf([])).toEqual({ width: 1, height: 1 });
});

test('perturbed copies lack a part, tremble, and are the same for the same seed', () => {
  const rows = standing(1, 100, range(1, 5_000));
  const worse = perturb(rows, { drop: 0.03, jitter: 0.015 }, seededRandom(1));
  expect(worse.length / rows.length).toBeGreaterThan(0.96);
  expect(worse.length / rows.length).toBeLessThan(0.98);
  const deviation = Math.sqrt(worse.reduce((sum, { x }) => sum + (x - 100) ** 2, 0) / worse.length);
  expect(deviation).toBeGreaterThan(0.14);
  expect(deviation).toBeLessThan(0.16);
  expect(perturb(rows, { drop: 0.03, jitter: 0.015 }, seededRandom(1))).toEqual(worse);
  expect(perturb(rows, { drop: 0, jitter: 0 }, seededRandom(1))).toEqual(rows);
});

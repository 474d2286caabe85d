import { expect, it } from 'vitest';
import type { Lane } from '#agent/domain/lane.ts';
import { LaneRates } from './lane-rates.ts';
import type { SlotState } from './protocol.ts';

const slot = (lane: Lane, last: number, depth: number): SlotState => ({
  epoch: 'e',
  lane,
  last,
  depth,
  bytes: 0,
  first: 0,
  oldestMonoMs: undefined,
});

it('counts what came and what left over the last minute, each lane alone', () => {
  const rates = new LaneRates(1_000_000);
  const zero = [slot('event', 0, 0), slot('alarm', 5, 5)];
  const full = [slot('event', 600, 600), slot('alarm', 5, 5)];
  const drained = [slot('event', 600, 0), slot('alarm', 5, 2)];
  rates.changed(zero, full, 1_000_000);
  rates.changed(full, drained, 1_020_000);
  expect(rates.of('event', 1_030_000)).toEqual({ appendedPerSecond: 20, leftPerSecond: 20 });
  expect(rates.of('alarm', 1_030_000)).toEqual({ appendedPerSecond: 0, leftPerSecond: 0.1 });
  expect(rates.of('audit', 1_030_000)).toEqual({ appendedPerSecond: 0, leftPerSecond: 0 });
  // the appends are more than a minute ago, the removal is not
  expect(rates.of('event', 1_065_000).appendedPerSecond).toBe(0);
  expect(rates.of('event', 1_065_000).leftPerSecond).toBeCloseTo(600 / 55);
  expect(rates.of('event', 1_090_000)).toEqual({ appendedPerSecond: 0, leftPerSecond: 0 });
});

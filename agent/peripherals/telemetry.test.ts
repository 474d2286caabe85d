/** What is worth sending. */
import { expect, it } from 'vitest';
import type { Reading, ReadingValue } from '#agent/domain/reading.ts';
import { TelemetryFilter } from './telemetry.ts';

const reading = (monoMs: number, value: ReadingValue, quality: Reading['quality'] = 'good'): Reading => ({
  peripheral: 'p',
  property: 'x',
  value,
  quality,
  wallMs: monoMs,
  monoMs,
});
const sent = (readings: readonly Reading[], intervalMs: number, deadband: number): number[] => {
  const filter = new TelemetryFilter();
  return readings.filter((each) => filter.pass(each, { intervalMs, deadband })).map(({ monoMs }) => monoMs);
};

it('a sensor at 100 Hz fills no outbox', () => {
  const minute = Array.from({ length: 6_000 }, (_unused, index) => reading(index * 10, 20 + Math.sin(index)));
  expect(sent(minute, 10_000, 0)).toHaveLength(6);
});

it('a change below the deadband is none, and drift adds up', () => {
  expect(sent([reading(0, 20), reading(10_000, 20.4), reading(20_000, 20.6), reading(30_000, 21)], 1_000, 0.5)).toEqual(
    [0, 20_000],
  );
});

it('a state is told as it changes, and not as it flutters', () => {
  expect(
    sent([reading(0, 'shut'), reading(5_000, 'open'), reading(5_500, 'shut'), reading(6_200, 'shut')], 60_000, 0),
  ).toEqual([0, 5_000, 6_200]);
});

it('quality counts as a state, and each member of a value as a number', () => {
  expect(sent([reading(0, 1), reading(2_000, 1, 'bad')], 60_000, 0)).toEqual([0, 2_000]);
  const place = (latitude: number): ReadingValue => ({ latitude, longitude: 121 });
  expect(
    sent([reading(0, place(31)), reading(60_000, place(31.000_01)), reading(120_000, place(31.001))], 60_000, 0.000_05),
  ).toEqual([0, 120_000]);
});

it('what never changes is said again four times an hour', () => {
  const day = Array.from({ length: 24 * 60 }, (_unused, index) => reading(index * 60_000, 'shut'));
  expect(sent(day, 60_000, 0)).toHaveLength(96);
});

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CoordinateFilter } from './kalman.ts';

test('finds the velocity of a steady movement seen at uneven times', () => {
  const filter = new CoordinateFilter(1, 0.01, 4);
  let at = 0;
  for (let i = 0; i < 200; i += 1) {
    const step = i % 3 === 0 ? 0.2 : 0.04;
    at += step;
    filter.predict(step, 0.01);
    filter.correct(1 + 0.5 * at, 0.01);
  }
  expect(filter.velocity).toBeCloseTo(0.5, 4);
  expect(filter.position).toBeCloseTo(1 + 0.5 * at, 4);
});

test('one long step is as good as many short ones', () => {
  const [long, short] = [new CoordinateFilter(0, 1, 2), new CoordinateFilter(0, 1, 2)];
  for (const filter of [long, short]) {
    filter.predict(1, 0.3);
    filter.correct(2, 0.5);
  }
  long.predict(1, 0.3);
  for (let i = 0; i < 10; i += 1) short.predict(0.1, 0.3);
  long.correct(5, 0.5);
  short.correct(5, 0.5);
  expect(short.position).toBeCloseTo(long.position, 9);
  expect(short.velocity).toBeCloseTo(long.velocity, 9);
});

test('stays finite, and between what it believed and what it saw', () => {
  const event = fc.record({
    seconds: fc.double({ min: 0, max: 5, noNaN: true }),
    measured: fc.double({ min: -1, max: 2, noNaN: true }),
    deviation: fc.double({ min: 1e-4, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), (events) => {
      const filter = new CoordinateFilter(0.5, 0.01, 1);
      for (const { seconds, measured, deviation } of events) {
        filter.predict(seconds, 0.1);
        const believed = filter.position;
        filter.correct(measured, deviation ** 2);
        expect(Number.isFinite(filter.position) && Number.isFinite(filter.velocity)).toBe(true);
        const slack = 1e-9 * (1 + Math.abs(believed));
        expect(filter.position).toBeGreaterThanOrEqual(Math.min(believed, measured) - slack);
        expect(filter.position).toBeLessThanOrEqual(Math.max(believed, measured) + slack);
      }
    }),
  );
});

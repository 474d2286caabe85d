import { expect, test } from 'vitest';
import type { Box } from '#agent/domain/box.ts';
import { Stillness } from './stillness.ts';

const limits = { afterMs: 3_000, enter: 0.2, leave: 0.4 };
const at = (widths: number): Box => [0.5 + 0.1 * widths, 0.4, 0.6 + 0.1 * widths, 0.7];

/** @returns the flag after each box, one every 500 ms */
function flags(places: readonly number[]): boolean[] {
  const stillness = new Stillness(at(places[0] ?? 0), 0, limits);
  return places.map((place, index) => {
    stillness.observe(at(place), index * 500);
    return stillness.stationary;
  });
}

test('stands after three seconds, not before', () => {
  expect(flags(Array.from({ length: 8 }, () => 0))).toEqual([false, false, false, false, false, false, true, true]);
});

test('who walks never stands', () => {
  expect(flags(Array.from({ length: 40 }, (_step, index) => index * 0.15))).not.toContain(true);
});

test('a box that trembles around the first limit does not toggle', () => {
  const standing = [0, 0, 0, 0, 0, 0, 0];
  const trembling = Array.from({ length: 20 }, (_step, index) => (index % 2 === 0 ? 0.3 : -0.3));
  expect(flags([...standing, ...trembling]).slice(7)).not.toContain(false);
  expect(flags([...standing, 0.5]).at(-1)).toBe(false);
});

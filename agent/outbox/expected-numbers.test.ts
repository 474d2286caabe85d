import { expect, it } from 'vitest';
import type { Lane } from '#agent/domain/lane.ts';
import { ExpectedNumbers, type JobNumbers } from './expected-numbers.ts';
import type { SlotState } from './protocol.ts';

const slot = (lane: Lane, last: number, epoch = 'now'): SlotState => ({
  epoch,
  lane,
  last,
  depth: 0,
  bytes: 0,
  first: 0,
  oldestMonoMs: undefined,
});

const take = (numbers: JobNumbers, lane: Lane, count: number): number[] =>
  Array.from({ length: count }, () => numbers.next(lane));

it('counts on from what the store told, lane by lane, in this epoch', () => {
  const numbers = new ExpectedNumbers().forJob([slot('event', 900, 'old'), slot('event', 41), slot('alarm', 6)], 'now');
  expect(take(numbers, 'event', 3)).toEqual([42, 43, 44]);
  expect(take(numbers, 'alarm', 1)).toEqual([7]);
  expect(take(numbers, 'media', 2)).toEqual([1, 2]);
});

it('counts what is on its way, until its answer is known', () => {
  const expected = new ExpectedNumbers();
  const first = expected.forJob([slot('event', 10)], 'now');
  expect(take(first, 'event', 2)).toEqual([11, 12]);
  const second = expected.forJob([slot('event', 10)], 'now');
  expect(take(second, 'event', 2)).toEqual([13, 14]);
  // the first was stored
  first.settle();
  expect(take(expected.forJob([slot('event', 12)], 'now'), 'event', 1)).toEqual([15]);
  // settled twice counts once
  first.settle();
  expect(take(expected.forJob([slot('event', 12)], 'now'), 'event', 1)).toEqual([16]);
});

it('finds back after a Job that was refused', () => {
  const expected = new ExpectedNumbers();
  const refused = expected.forJob([slot('event', 10)], 'now');
  take(refused, 'event', 5);
  const behind = expected.forJob([slot('event', 10)], 'now');
  expect(take(behind, 'event', 1)).toEqual([16]);
  refused.settle();
  behind.settle();
  expect(take(expected.forJob([slot('event', 11)], 'now'), 'event', 1)).toEqual([12]);
});

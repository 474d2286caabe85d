import { expect, test } from 'vitest';
import { LabelVotes } from './label-votes.ts';

test('one wrong name among many changes nothing', () => {
  const votes = new LabelVotes('car');
  for (let i = 0; i < 5; i += 1) votes.cast('car', 0.8);
  votes.cast('truck', 0.9);
  expect(votes.label).toBe('car');
});

test('a better view changes the name', () => {
  const votes = new LabelVotes('car');
  for (let i = 0; i < 4; i += 1) votes.cast('truck', 0.7);
  expect(votes.label).toBe('truck');
});

test('wavering does not toggle', () => {
  const votes = new LabelVotes('car');
  const seen = new Set<string>();
  for (let i = 0; i < 100; i += 1) {
    votes.cast(i % 2 === 0 ? 'car' : 'truck', 0.6);
    seen.add(votes.label);
  }
  expect([...seen]).toEqual(['car']);
});

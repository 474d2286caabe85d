/** Between two results a track is where both of them say. */
import { describe, expect, it } from 'vitest';
import type { Box } from '#agent/domain/box.ts';
import type { Track } from '#agent/domain/track.ts';
import { RecentTracks } from './recent-tracks.ts';

const track = (id: number, box: Box): Track => ({
  id,
  label: 'person',
  score: 0.9,
  box,
  velocity: [0, 0],
  firstSeenMs: 0,
  lastSeenMs: 0,
  coasting: false,
  stationary: false,
});

describe('recent tracks', () => {
  it('interpolates, keeps what only one side knows, and starts again with a new recording', () => {
    const recent = new RecentTracks();
    recent.add(10, [track(1, [0, 0, 0.2, 0.2]), track(2, [0.5, 0.5, 0.6, 0.6])]);
    recent.add(14, [track(1, [0.4, 0, 0.6, 0.2])]);
    const placed = recent.around(12);
    expect(placed.find(({ id }) => id === 1)?.box.map((value) => Number(value.toFixed(6)))).toEqual([0.2, 0, 0.4, 0.2]);
    expect(placed.find(({ id }) => id === 2)?.box).toEqual([0.5, 0.5, 0.6, 0.6]);
    recent.add(0, [track(3, [0, 0, 1, 1])]);
    expect(recent.around(12).map(({ id }) => id)).toEqual([3]);
  });
});

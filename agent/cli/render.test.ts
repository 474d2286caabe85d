import { expect, test } from 'vitest';
import type { Event, Sighting } from '#agent/domain/event.ts';
import type { ReplayedFrame } from '#agent/replay.ts';
import { renderedFrames } from './render.ts';

function frame(number: number, events: readonly Event[] = []): ReplayedFrame {
  const atMs = number * 500;
  return {
    tracked: {
      type: 'tracked',
      camera: 'front',
      frame: number,
      atMs,
      wallMs: atMs,
      capturedMonoMs: atMs,
      inferenceMs: 0,
      tracks: [],
      people: [[0, 0, 1, number / 10]],
    },
    events,
  };
}

const about = { lane: 'event', subject: 'camera/front', wallMs: 0, monoMs: 0 } as const;
const person: Sighting = { track: 4, label: 'person', score: 0.9, box: [0, 0, 1, 1] };
const seen = { rule: 'r', frame: 1 };
const crowd = (phase: 'start' | 'update' | 'end', count: number): Event => ({
  ...about,
  kind: 'crowd',
  phase,
  data: { ...seen, incident: 'c', durationMs: 0, count, peak: count },
});
const crossing: Event = {
  ...about,
  kind: 'line',
  data: {
    ...seen,
    incident: 'l',
    line: 'gate',
    direction: 'forward',
    count: { forward: 2, backward: 1 },
    object: person,
  },
};

const texts = (frames: readonly ReplayedFrame[]): string[][] =>
  renderedFrames(frames).map((rendered) => (rendered?.incidents ?? []).map(({ text }) => text));

test('an incident is told from its start to its end, with its newest count', () => {
  const frames = [
    frame(0),
    frame(1, [crowd('start', 4)]),
    frame(2),
    frame(3, [crowd('update', 6)]),
    frame(4, [crowd('end', 2)]),
  ];
  expect(texts(frames)).toEqual([[], ['crowd 4'], ['crowd 4'], ['crowd 6'], []]);
});

test('what does not last is shown for a second and a half, and its object stands out', () => {
  const frames = [frame(0, [crossing]), frame(1), frame(2), frame(3)];
  expect(texts(frames)).toEqual([['line gate forward 2/1'], ['line gate forward 2/1'], ['line gate forward 2/1'], []]);
  expect(renderedFrames(frames)[0]?.incidents[0]?.tracks).toEqual([4]);
});

test('what the replay tells after its last frame leaves that frame as it was', () => {
  const last = frame(1, [crowd('start', 4)]);
  const end: ReplayedFrame = { tracked: { ...last.tracked, tracks: [], people: [] }, events: [crowd('end', 0)] };
  const rendered = renderedFrames([frame(0), last, end]);
  expect(rendered).toHaveLength(2);
  expect(rendered[1]).toMatchObject({ people: [[0, 0, 1, 0.1]], incidents: [{ text: 'crowd 4' }] });
});

test('a frame that the replay skipped is a gap, hidden as a whole', () => {
  expect(renderedFrames([frame(0), frame(2)])[1]).toBeUndefined();
});

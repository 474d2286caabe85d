import { describe, expect, test } from 'vitest';
import { seededRandom } from '#agent/core/random.ts';
import { idsOf, parameters, person, play, trackAt } from './scene.ts';
import { Tracker } from './tracker.ts';

/** A walker from left to right at this part of the picture's width a second. */
const walking =
  (speed: number, from = 0.1) =>
  (at: number) =>
    person(from + speed * at, 0.8);

const hidden = (at: number): boolean => at > 2 && at < 3.2;
const turning = (at: number): number => (at < 2.5 ? 0.3 + 0.06 * at : 0.45 - 0.06 * (at - 2.5));
const waiting = (at: number): number => 0.3 + (at > 6 ? 0.1 * (at - 6) : 0);
const far = (at: number) => person(0.2 + 0.1 * at, 0.75, 0.26);
const near = (at: number) => person(0.8 - 0.1 * at, 0.9, 0.36);
const car = (at: number) => ({ label: 'car', score: 0.9, box: [0.3 * at - 0.3, 0.55, 0.3 * at, 0.8] as const });
const vehicleBox = (at: number) => [0.2 + 0.1 * at, 0.5, 0.4 + 0.1 * at, 0.7] as const;

describe('one walker', () => {
  test('is told of from the second detection on, with place, velocity and times', () => {
    const steps = play({ seconds: 4, fps: 25, seen: (at) => [walking(0.1)(at)] });
    expect(steps.map(({ tracks }) => tracks.length).slice(0, 3)).toEqual([0, 1, 1]);
    const last = steps.at(-1)?.tracks[0];
    expect(last).toMatchObject({
      id: 1,
      label: 'person',
      firstSeenMs: 0,
      lastSeenMs: 3960,
      coasting: false,
      stationary: false,
    });
    expect(last?.velocity[0]).toBeCloseTo(0.1, 2);
    expect(last?.velocity[1]).toBeCloseTo(0, 2);
    expect(last?.box[0]).toBeCloseTo(0.1 + 0.396 - 0.0375, 2);
  });

  test('keeps the id behind a pole, coasting where he is', () => {
    const steps = play({ seconds: 6, fps: 10, seen: (at) => (hidden(at) ? [] : [walking(0.12)(at)]) });
    expect(idsOf(steps)).toEqual([1]);
    const during = steps.filter(({ atMs }) => hidden(atMs / 1000));
    expect(during).not.toHaveLength(0);
    for (const { atMs, tracks } of during) {
      expect(tracks).toHaveLength(1);
      expect(tracks[0]?.coasting).toBe(true);
      expect(trackAt({ atMs, tracks }, 0)?.box[0]).toBeCloseTo(0.1 + (0.12 * atMs) / 1000 - 0.0375, 1);
    }
    expect(steps.filter(({ atMs }) => atMs > 3200).every(({ tracks }) => tracks[0]?.coasting === false)).toBe(true);
  });

  test('keeps the id when he turns round behind the pole', () => {
    const steps = play({ seconds: 5, fps: 10, seen: (at) => (at > 2 && at < 3 ? [] : [person(turning(at), 0.8)]) });
    expect(idsOf(steps)).toEqual([1]);
  });

  test('ends after the coasting time, and is somebody else when he comes later', () => {
    const steps = play({ seconds: 8, fps: 10, seen: (at) => (at > 2 && at < 6 ? [] : [person(0.5, 0.8)]) });
    const coasted = steps.filter(({ tracks }) => tracks[0]?.coasting);
    expect(coasted.length).toBeGreaterThanOrEqual(19);
    expect(coasted.length).toBeLessThanOrEqual(21);
    expect(idsOf(steps)).toEqual([1, 2]);
  });

  test('a false alarm of two frames is over in half the coasting time', () => {
    const steps = play({ seconds: 4, fps: 10, seen: (at) => (at < 0.15 ? [person(0.5, 0.8)] : []) });
    const told = steps.filter(({ tracks }) => tracks.length > 0).map(({ atMs }) => atMs);
    expect(Math.min(...told)).toBe(100);
    expect(Math.max(...told)).toBe(1_100);
  });

  test('who left the picture does not coast outside it', () => {
    const steps = play({ seconds: 4, fps: 25, seen: (at) => (at < 2 ? [walking(0.3, 0.42)(at)] : []) });
    expect(steps.filter(({ atMs }) => atMs > 2200).flatMap(({ tracks }) => tracks)).toEqual([]);
  });

  test('a weak detection continues a track, and never starts one', () => {
    const steps = play({ seconds: 3, fps: 10, seen: (at) => [{ ...walking(0.1)(at), score: at > 1 ? 0.15 : 0.8 }] });
    expect(steps.at(-1)?.tracks[0]).toMatchObject({ id: 1, coasting: false, score: 0.15 });
    const faint = play({ seconds: 3, fps: 10, seen: (at) => [{ ...walking(0.1)(at), score: 0.4 }] });
    expect(idsOf(faint)).toEqual([]);
  });

  test('stands after a while, and moves again', () => {
    const steps = play({ seconds: 8, fps: 10, seen: (at) => [person(waiting(at), 0.8)] });
    const standing = steps.filter(({ tracks }) => tracks[0]?.stationary).map(({ atMs }) => atMs);
    expect(Math.min(...standing)).toBeGreaterThanOrEqual(2900);
    expect(Math.min(...standing)).toBeLessThanOrEqual(3200);
    expect(Math.max(...standing)).toBeLessThan(7000);
  });
});

describe('several', () => {
  test('two who cross keep their ids, though only the nearer is seen while they overlap', () => {
    const steps = play({
      seconds: 6,
      fps: 10,
      seen: (at) => (Math.abs(at - 3) < 0.35 ? [near(at)] : [far(at), near(at)]),
    });
    expect(idsOf(steps)).toEqual([1, 2]);
    const [early, late] = [steps[10], steps.at(-1)];
    if (!early || !late) throw new Error('no steps');
    expect(trackAt(late, 0.79)?.id).toBe(trackAt(early, 0.3)?.id);
    expect(trackAt(late, 0.21)?.id).toBe(trackAt(early, 0.7)?.id);
  });

  test('a car that passes a person takes nobody’s id', () => {
    const steps = play({
      seconds: 4,
      fps: 10,
      seen: (at) => [person(0.5, 0.8), car(at)].filter(({ box }) => box[2] > 0 && box[0] < 1),
    });
    for (const { tracks } of steps) {
      for (const track of tracks) expect(track.label).toBe(track.id === steps[2]?.tracks[0]?.id ? 'person' : 'car');
    }
  });

  test('a vehicle that the detector calls car and truck by turns, or both at once, is one', () => {
    const turns = play({
      seconds: 3,
      fps: 10,
      seen: (at, frame) => [{ label: frame % 3 === 0 ? 'truck' : 'car', score: 0.7, box: vehicleBox(at) }],
    });
    expect(idsOf(turns)).toEqual([1]);
    expect(turns.at(-1)?.tracks[0]?.label).toBe('car');
    const both = play({
      seconds: 3,
      fps: 10,
      seen: (at) => ['car', 'truck'].map((label, i) => ({ label, score: 0.7 - i / 10, box: vehicleBox(at) })),
    });
    expect(idsOf(both)).toEqual([1]);
  });
});

describe('the camera', () => {
  test('drops two frames of three at random: the ids hold', () => {
    const random = seededRandom(7);
    const lost = new Set(Array.from({ length: 250 }, (_frame, frame) => frame).filter(() => random() < 0.66));
    const steps = play({
      seconds: 10,
      fps: 25,
      seen: (at) => [person(0.1 + 0.08 * at, 0.6, 0.2), person(0.9 - 0.08 * at, 0.9)],
      dropped: (frame) => lost.has(frame),
    });
    expect(idsOf(steps)).toEqual([1, 2]);
  });

  test('gives one picture a second: a walker stays one', () => {
    expect(idsOf(play({ seconds: 12, fps: 1, seen: (at) => [walking(0.03)(at)] }))).toEqual([1]);
  });

  test('stalls for five seconds: who stands there still is the same, and nobody after ten minutes', () => {
    const tracker = new Tracker(parameters);
    for (let i = 0; i < 20; i += 1) tracker.step([person(0.5, 0.8)], i * 100);
    expect(tracker.step([person(0.5, 0.8)], 6_900)).toMatchObject([{ id: 1, coasting: false }]);
    tracker.step([person(0.5, 0.8)], 606_900);
    expect(tracker.step([person(0.5, 0.8)], 607_000)).toMatchObject([{ id: 2 }]);
  });

  test('gives the same time twice: nothing breaks', () => {
    const steps = play({ seconds: 3, fps: 10, seen: (at) => [walking(0.1)(at)] });
    const tracker = new Tracker(parameters);
    let tracks = tracker.step([], 0);
    for (let frame = 0; frame < 30; frame += 1) {
      tracker.step([walking(0.1)(frame / 10)], frame * 100);
      tracks = tracker.step([walking(0.1)(frame / 10)], frame * 100);
    }
    expect(tracks).toHaveLength(1);
    expect(tracks[0]?.id).toBe(1);
    expect(tracks[0]?.velocity[0]).toBeCloseTo(steps.at(-1)?.tracks[0]?.velocity[0] ?? NaN, 1);
  });

  test('goes back in time: all is forgotten, declared, and ids go on', () => {
    const tracker = new Tracker(parameters);
    for (let i = 0; i < 5; i += 1) tracker.step([person(0.5, 0.8)], 10_000 + i * 100);
    expect(tracker.restarts).toBe(0);
    expect(tracker.step([person(0.5, 0.8)], 0)).toEqual([]);
    expect(tracker.step([person(0.5, 0.8)], 100)).toMatchObject([{ id: 2, firstSeenMs: 0 }]);
    expect(tracker.restarts).toBe(1);
  });

  test('gives a time that is no number: the step changes nothing', () => {
    const tracker = new Tracker(parameters);
    for (let i = 0; i < 5; i += 1) tracker.step([person(0.5, 0.8)], i * 100);
    for (const atMs of [NaN, Infinity, -Infinity])
      expect(tracker.step([], atMs)).toMatchObject([{ id: 1, coasting: false }]);
    expect(tracker.step([person(0.5, 0.8)], 500)).toMatchObject([{ id: 1, coasting: false }]);
  });
});

describe('what the detector should not give', () => {
  test('boxes without area, without numbers or far outside are refused and counted', () => {
    const tracker = new Tracker(parameters);
    const bad = [
      [0.5, 0.5, 0.5, 0.9],
      [0.5, 0.9, 0.6, 0.4],
      [NaN, 0, 1, 1],
      [0, 0, Infinity, 1],
      [5, 5, 6, 6],
    ] as const;
    const detections = [
      ...bad.map((box) => ({ label: 'person', score: 0.9, box })),
      { ...person(0.5, 0.8), score: NaN },
    ];
    for (let i = 0; i < 5; i += 1) expect(tracker.step(detections, i * 100)).toEqual([]);
    expect(tracker.refused).toBe(30);
  });

  test('a flood is bounded, declared, and over when it is over', () => {
    const tracker = new Tracker(parameters);
    const random = seededRandom(3);
    const flood = () =>
      Array.from({ length: 5_000 }, () =>
        person(random(), 0.1 + random() * 0.9, 0.05 + random() * 0.1, 0.1 + 0.6 * random()),
      );
    const real = person(0.5, 0.8, 0.3, 0.95);
    for (let i = 0; i < 10; i += 1) {
      const tracks = tracker.step([...flood(), real], i * 100);
      expect(tracks.length).toBeLessThanOrEqual(parameters.maxTracks);
    }
    expect(tracker.shed).toBeGreaterThan(40_000);
    let tracks = tracker.step([real], 1_000);
    const keeper = tracks.find(({ coasting }) => !coasting)?.id;
    for (let i = 0; i < 30; i += 1) tracks = tracker.step([real], 1_100 + i * 100);
    expect(tracks).toMatchObject([{ id: keeper }]);
  });
});

/** What holds for all rules over all walks: found by random ones. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Event } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import { frontCamera, play, type RuleInput } from '#agent/testing/play-rules.ts';
import { film, type Walk, walk } from '#agent/testing/walks.ts';
import { parseConfig } from '#config/load.ts';
import { compileRules } from './rules.ts';

const coordinate = fc.integer({ min: -10, max: 110 }).map((hundredths) => hundredths / 100);
const second = fc.integer({ min: 0, max: 300 }).map((tenths) => tenths / 10);
const span = fc.tuple(second, second).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]);

const anyWalk = fc
  .record({
    points: fc.uniqueArray(fc.tuple(second, coordinate, coordinate), {
      minLength: 2,
      maxLength: 6,
      selector: ([at]) => at,
    }),
    label: fc.constantFrom('person', 'car'),
    score: fc.constantFrom(0.3, 0.6, 0.9),
    hidden: fc.array(span, { maxLength: 2 }),
  })
  .map(({ points, ...rest }) => walk({ ...rest, path: points.sort(([a], [b]) => a - b) }));

const manyWalks = fc
  .array(anyWalk, { maxLength: 7 })
  .map((walks): Walk[] => walks.map((each, index) => Object.assign(each, { id: index + 1 })));

const seconds = (values: readonly number[]) => fc.constantFrom(...values.map((value) => `${value}s`));

const anyRules = fc
  .record({
    leaveAfter: seconds([0, 0.5, 2, 5]),
    enterAfter: seconds([0, 0.3, 1]),
    updateInterval: seconds([0, 1, 30]),
    cooldown: seconds([0, 0, 3]),
    minScore: fc.constantFrom(0, 0.5),
    minFrames: fc.integer({ min: 1, max: 3 }),
  })
  .map((options): RuleInput[] => {
    const { cooldown, minScore, minFrames } = options;
    return [
      { kind: 'zone', id: 'zone', zone: 'yard', ...options },
      { kind: 'intrusion', id: 'intrusion', zone: 'yard', ...options },
      { kind: 'line', id: 'line', line: 'gate', cooldown, minScore, minFrames },
      { kind: 'loitering', id: 'loitering', zone: 'yard', after: '3s', ...options },
      { kind: 'crowd', id: 'crowd', atLeast: 2, after: '1s', ...options },
    ];
  });

const fps = fc.constantFrom(2, 5, 10);
const rate = (walks: readonly Walk[], each: number): TrackedFrame[] => film(walks, { seconds: 31, fps: each });

/** Each track with a new id in each frame. */
const reborn = ({ frame, tracks }: TrackedFrame) =>
  tracks.map((track, index) => Object.assign(track, { id: frame * 3 + index + 1 }));

/** What became of each incident, by id. */
function lives(events: readonly Event[]): ReadonlyMap<string, string> {
  const phases = new Map<string, string>();
  for (const { data, phase } of events) {
    if (!('incident' in data) || data.incident === undefined) continue;
    phases.set(data.incident, `${phases.get(data.incident) ?? ''}${phase ? phase[0] : '.'}`);
  }
  return phases;
}

describe('over all walks', () => {
  it.each(['finish', 'quiet'] as const)('each incident starts once, is updated, and ends once (%s)', (end) => {
    fc.assert(
      fc.property(anyRules, manyWalks, fps, (rules, walks, each) => {
        const { events } = play(rules, rate(walks, each), { end });
        for (const life of lives(events).values()) expect(life).toMatch(/^(su*e|\.)$/);
      }),
      { numRuns: 60 },
    );
  });

  it('the same frames give the same bytes, from a state that went through JSON too', () => {
    fc.assert(
      fc.property(anyRules, manyWalks, fps, (rules, walks, each) => {
        const frames = rate(walks, each);
        const bytes = JSON.stringify(play(rules, frames).events);
        expect(JSON.stringify(play(rules, frames).events)).toBe(bytes);
        const compiled = compileRules(parseConfig({ cameras: [frontCamera], rules: [...rules] }), {
          run: 'replay',
          timeZone: 'UTC',
        });
        let state = compiled.initial();
        const events: Event[] = [];
        for (const frame of frames) {
          const step = compiled.step(frozen(JSON.parse(JSON.stringify(state)) as typeof state), frame);
          events.push(...step.events);
          ({ state } = step);
        }
        const last = frames.at(-1) as TrackedFrame;
        events.push(...compiled.finish(state, { wallMs: last.wallMs, monoMs: last.atMs }).events);
        expect(JSON.stringify(events)).toBe(bytes);
      }),
      { numRuns: 25 },
    );
  });

  it('the state is bounded by the tracks of the last seconds', () => {
    fc.assert(
      fc.property(anyRules, fc.array(anyWalk, { minLength: 3, maxLength: 3 }), (rules, walks) => {
        // Thirty short-lived tracks a second, as a broken tracker makes them.
        const frames = rate(walks, 10).map((frame) => Object.assign(frame, { tracks: reborn(frame) }));
        let most = 0;
        play(rules, frames, { watch: (state) => (most = Math.max(most, JSON.stringify(state).length)) });
        expect(most).toBeLessThan(200_000);
      }),
      { numRuns: 10 },
    );
  });

  it('lost frames change when, not what', () => {
    const visit = fc.record({
      from: fc.integer({ min: 0, max: 4 }),
      stay: fc.integer({ min: 3, max: 8 }),
      y: fc.integer({ min: 2, max: 9 }).map((tenths) => tenths / 10),
    });
    const dropped = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 300, maxLength: 300 });
    fc.assert(
      fc.property(fc.array(visit, { minLength: 1, maxLength: 4 }), dropped, (visits, chance) => {
        const walks = visits.map(({ from, stay, y }, index) => {
          const enters = from + 1;
          const path = [
            [from, 0.3, y],
            [enters, 0.7, y],
            [enters + stay, 0.7, y],
            [enters + stay + 1, 0.3, y],
            [enters + stay + 3, 0.3, y],
          ] as const;
          return walk({ id: index + 1, path });
        });
        const frames = film(walks, { seconds: 25 });
        // Three of ten frames are lost, never more than two in a row.
        const left = frames.filter(
          (_frame, index) =>
            (chance[index] ?? 9) > 2 || ((chance[index - 1] ?? 9) <= 2 && (chance[index - 2] ?? 9) <= 2),
        );
        const rules: RuleInput[] = [
          { kind: 'zone', id: 'zone', zone: 'yard', updateInterval: '0s' },
          { kind: 'intrusion', id: 'intrusion', zone: 'yard', updateInterval: '0s' },
          { kind: 'line', id: 'line', line: 'gate' },
        ];
        const [all, some] = [play(rules, frames).events, play(rules, left).events];
        expect(outline(some)).toEqual(outline(all));
        for (const [index, event] of byOutline(some).entries()) {
          expect(Math.abs(event.monoMs - (byOutline(all)[index]?.monoMs ?? Infinity))).toBeLessThanOrEqual(600);
        }
      }),
      { numRuns: 60 },
    );
  });
});

const outlineOf = ({ kind, phase, data }: Event): string => {
  const object = 'object' in data ? String(data.object.track) : '';
  const direction = 'direction' in data ? data.direction : '';
  return `${kind} ${phase ?? ''} ${object} ${direction}`;
};

const byOutline = (events: readonly Event[]): Event[] =>
  [...events].sort((a, b) => outlineOf(a).localeCompare(outlineOf(b)) || a.monoMs - b.monoMs);

const outline = (events: readonly Event[]): string[] => events.map(outlineOf).sort();

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

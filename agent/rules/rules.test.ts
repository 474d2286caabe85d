/** Each rule by walks before one camera: the right half is the zone `yard`, the line `gate` runs down the middle. */
import { describe, expect, it } from 'vitest';
import type { Event, EventData } from '#agent/domain/event.ts';
import { frontCamera, play, told } from '#agent/testing/play-rules.ts';
import { film, walk } from '#agent/testing/walks.ts';
import { compileRules } from './rules.ts';
import { parseConfig } from '#config/load.ts';

const across = walk({
  path: [
    [0, 0.1, 0.5],
    [4, 0.9, 0.5],
    [8, 0.1, 0.5],
    [14, 0.1, 0.5],
  ],
});
const zoneRule = { kind: 'zone', id: 'in', zone: 'yard', leaveAfter: '1s' } as const;

const directions = (events: readonly Event[]) => events.map(({ data }) => (data as EventData<'line'>).direction);

const standing = (id: number, from: number, to: number) =>
  walk({
    id,
    path: [
      [from, 0.2 + id / 10, 0.5],
      [to, 0.2 + id / 10, 0.5],
    ],
  });

const incidentOf = (event: Event | undefined): string | undefined =>
  event && 'incident' in event.data ? event.data.incident : undefined;

describe('zone', () => {
  it('tells of one that enters and leaves, with one id', () => {
    const { events } = play([zoneRule], film([across], { seconds: 14 }));
    expect(told(events)).toEqual(['zone.start@2.3', 'zone.end@7.1']);
    expect(new Set(events.map(incidentOf))).toEqual(new Set(['replay.in.front.1']));
    expect(events[1]?.data).toMatchObject({ durationMs: 4800, zone: 'yard', object: { track: 1, label: 'person' } });
  });

  it('takes one that trembles on the edge for one visit', () => {
    const trembling = walk({
      path: [
        [0, 0.4, 0.5],
        [1, 0.502, 0.5],
        [9, 0.502, 0.5],
        [10, 0.3, 0.5],
        [14, 0.3, 0.5],
      ],
      tremble: (frame) => [frame % 4 === 0 ? -0.01 : 0.002, 0],
    });
    const { events } = play([{ ...zoneRule, enterAfter: '200ms' }], film([trembling], { seconds: 14 }));
    expect(events.map(({ phase }) => phase)).toEqual(['start', 'end']);
  });

  it('keeps the place of one that is hidden, wherever it is believed to be', () => {
    const hidden = walk({
      path: [
        [0, 0.8, 0.5],
        [3, 0.8, 0.5],
        [6, 0.2, 0.5],
        [6.1, 0.8, 0.5],
        [9, 0.8, 0.5],
      ],
      hidden: [[3, 6.1]],
    });
    const { events } = play([zoneRule], film([hidden], { seconds: 9 }));
    expect(told(events)).toEqual(['zone.start@0.3', 'zone.end@9']);
  });

  it('ends late, not twice, for one whose track is lost for less than leaveAfter', () => {
    const [first, second] = [
      film(
        [
          walk({
            path: [
              [0, 0.8, 0.5],
              [3, 0.8, 0.5],
            ],
          }),
        ],
        { seconds: 10 },
      ),
      film([across], { seconds: 0 }),
    ];
    const { events } = play([zoneRule], [...second.slice(1), ...first]);
    expect(told(events)).toEqual(['zone.start@0.3', 'zone.end@4.1']);
  });

  it('tells nothing of one frame alone, unless one frame may decide', () => {
    const blink = film(
      [
        walk({
          path: [
            [2, 0.8, 0.5],
            [2.05, 0.8, 0.5],
          ],
        }),
      ],
      { seconds: 5 },
    );
    expect(play([{ ...zoneRule, enterAfter: '0s' }], blink).events).toEqual([]);
    expect(told(play([{ ...zoneRule, enterAfter: '0s', minFrames: 1 }], blink).events)).toHaveLength(2);
  });

  it('leaves other labels and scores that never suffice alone', () => {
    const car = walk({
      id: 2,
      label: 'car',
      path: [
        [0, 0.8, 0.5],
        [5, 0.8, 0.5],
      ],
    });
    const faint = walk({
      id: 3,
      score: 0.4,
      path: [
        [0, 0.8, 0.5],
        [5, 0.8, 0.5],
      ],
    });
    const rule = { ...zoneRule, labels: ['person'], minScore: 0.5 };
    expect(play([rule], film([car, faint], { seconds: 6 })).events).toEqual([]);
  });

  it('tells updates at most at their interval, and none at 0s', () => {
    const staying = film(
      [
        walk({
          path: [
            [0, 0.8, 0.5],
            [20, 0.8, 0.5],
          ],
        }),
      ],
      { seconds: 20 },
    );
    const { events } = play([{ ...zoneRule, updateInterval: '5s' }], staying);
    expect(told(events)).toEqual([
      'zone.start@0.3',
      'zone.update@5.3',
      'zone.update@10.3',
      'zone.update@15.3',
      'zone.end@20',
    ]);
    expect(play([{ ...zoneRule, updateInterval: '0s' }], staying).events).toHaveLength(2);
  });

  it('rests after an incident for the cooldown', () => {
    const twice = walk({
      path: [
        [0, 0.8, 0.5],
        [2, 0.8, 0.5],
        [2.2, 0.2, 0.5],
        [5, 0.2, 0.5],
        [5.2, 0.8, 0.5],
        [30, 0.8, 0.5],
      ],
    });
    const { events } = play([{ ...zoneRule, cooldown: '10s', updateInterval: '0s' }], film([twice], { seconds: 30 }));
    expect(told(events)).toEqual(['zone.start@0.3', 'zone.end@3.2', 'zone.start@13.2', 'zone.end@30']);
  });
});

describe('intrusion', () => {
  const rule = { kind: 'intrusion', id: 'fence', zone: 'yard', leaveAfter: '1s' } as const;

  it('is one alarm while anyone is inside', () => {
    const one = walk({
      id: 1,
      path: [
        [0, 0.8, 0.5],
        [4, 0.8, 0.5],
      ],
    });
    const two = walk({
      id: 2,
      path: [
        [3, 0.8, 0.7],
        [8, 0.8, 0.7],
      ],
    });
    const { events } = play([rule], film([one, two], { seconds: 12 }));
    expect(told(events)).toEqual(['intrusion.start@0.3', 'intrusion.end@9.1']);
    expect(events.map(({ lane }) => lane)).toEqual(['alarm', 'alarm']);
    expect(events[1]?.data).toMatchObject({ objects: [{ track: 2 }] });
  });

  it('is told within a second of entering', () => {
    const { events } = play([rule], film([across], { seconds: 14, fps: 5 }));
    expect(events[0]?.monoMs).toBeLessThanOrEqual(3000);
  });

  it('keeps to its schedule over midnight, in local time', () => {
    const night = { ...rule, schedule: [{ days: ['fri' as const], from: '22:00', to: '06:00' }] };
    const staying = [
      walk({
        path: [
          [0, 0.8, 0.5],
          [3, 0.8, 0.5],
        ],
      }),
    ];
    const at = (utc: string) => film(staying, { seconds: 3, wallMs: Date.parse(utc) });
    const counts = (utc: string, timeZone: string) => play([night], at(utc), { timeZone }).events.length;
    // 2026-11-20 is a Friday; Shanghai is eight hours ahead.
    expect(counts('2026-11-20T14:30:00Z', 'Asia/Shanghai')).toBe(2);
    expect(counts('2026-11-20T21:59:00Z', 'Asia/Shanghai')).toBe(2);
    expect(counts('2026-11-20T22:00:00Z', 'Asia/Shanghai')).toBe(0);
    expect(counts('2026-11-20T14:30:00Z', 'UTC')).toBe(0);
    expect(counts('2026-11-19T14:30:00Z', 'Asia/Shanghai')).toBe(0);
  });

  it('ends when its window does, though someone is still there', () => {
    const window = { ...rule, schedule: [{ from: '00:00', to: '00:01' }] };
    const staying = [
      walk({
        path: [
          [0, 0.8, 0.5],
          [120, 0.8, 0.5],
        ],
      }),
    ];
    const { events } = play([{ ...window, updateInterval: '0s' }], film(staying, { seconds: 120 }));
    expect(told(events)).toEqual(['intrusion.start@0.3', 'intrusion.end@61']);
  });

  it('tells the age of live results, and none in replays', () => {
    const frames = film([across], { seconds: 14 });
    expect(play([rule], frames, { live: true }).events[0]?.data).toMatchObject({ ageMs: 40 });
    expect(play([rule], frames).events[0]?.data).not.toHaveProperty('ageMs');
  });

  it('bounds what one event carries', () => {
    const many = Array.from({ length: 60 }, (_empty, index) =>
      walk({
        id: index + 1,
        path: [
          [0, 0.51 + index / 200, 0.5],
          [3, 0.51 + index / 200, 0.5],
        ],
      }),
    );
    const { events } = play([rule], film(many, { seconds: 3 }));
    expect(events.map(({ data }) => (data as EventData<'intrusion'>).objects.length)).toEqual([32, 32]);
  });
});

describe('line', () => {
  const rule = { kind: 'line', id: 'count', line: 'gate' } as const;
  it('tells the direction and counts both', () => {
    const { events } = play([rule], film([across], { seconds: 14 }));
    // The line runs downwards, so its left is the right of the picture.
    expect(directions(events)).toEqual(['backward', 'forward']);
    expect(events.map(({ data }) => (data as EventData<'line'>).count)).toEqual([
      { forward: 0, backward: 1 },
      { forward: 1, backward: 1 },
    ]);
    expect(events.every(({ phase }) => phase === undefined)).toBe(true);
  });

  it('tells only the direction that is asked for, and counts the other', () => {
    const { events } = play([{ ...rule, direction: 'forward' }], film([across], { seconds: 14 }));
    expect(events).toHaveLength(1);
    expect(events[0]?.data).toMatchObject({ count: { forward: 1, backward: 1 } });
  });

  it('counts one that trembles on the line once', () => {
    const trembling = walk({
      path: [
        [0, 0.3, 0.5],
        [2, 0.5, 0.5],
        [8, 0.5, 0.5],
        [10, 0.7, 0.5],
      ],
      tremble: (frame) => [frame % 2 === 0 ? 0.009 : -0.009, 0],
    });
    expect(directions(play([rule], film([trembling], { seconds: 10 })).events)).toEqual(['backward']);
  });

  it('does not count one that turns back on the line', () => {
    const turning = walk({
      path: [
        [0, 0.3, 0.5],
        [2, 0.505, 0.5],
        [4, 0.3, 0.5],
      ],
    });
    expect(play([rule], film([turning], { seconds: 4 })).events).toEqual([]);
  });

  it('does not count one that goes round the end of it', () => {
    const short = {
      ...frontCamera,
      lines: [{ id: 'gate', from: [0.5, 0.4] as [number, number], to: [0.5, 0.6] as [number, number] }],
    };
    const around = walk({
      path: [
        [0, 0.3, 0.5],
        [1, 0.3, 0.8],
        [2, 0.7, 0.8],
        [3, 0.7, 0.5],
      ],
    });
    const through = walk({
      id: 2,
      path: [
        [0, 0.3, 0.5],
        [3, 0.7, 0.5],
      ],
    });
    expect(play([rule], film([around], { seconds: 3 }), { cameras: [short] }).events).toEqual([]);
    expect(play([rule], film([through], { seconds: 3 }), { cameras: [short] }).events).toHaveLength(1);
  });

  it('counts one that was hidden while it crossed, once', () => {
    const hidden = walk({
      path: [
        [0, 0.3, 0.5],
        [4, 0.7, 0.5],
        [6, 0.7, 0.5],
      ],
      hidden: [[1, 3]],
    });
    expect(directions(play([rule], film([hidden], { seconds: 6 })).events)).toEqual(['backward']);
  });

  it('goes on counting during the cooldown', () => {
    const { events } = play(
      [{ ...rule, cooldown: '3s' }],
      film(
        [
          across,
          walk({
            id: 2,
            path: [
              [0, 0.1, 0.5],
              [5, 0.9, 0.5],
            ],
          }),
        ],
        { seconds: 14 },
      ),
    );
    expect(events).toHaveLength(2);
    expect(events[1]?.data).toMatchObject({ count: { forward: 1, backward: 2 } });
  });
});

describe('loitering', () => {
  const rule = { kind: 'loitering', id: 'linger', zone: 'yard', after: '5s', updateInterval: '0s' } as const;

  it('tells of one that stays, and not of one that passes', () => {
    const staying = walk({
      path: [
        [0, 0.8, 0.5],
        [10, 0.8, 0.5],
      ],
    });
    const passing = walk({
      id: 2,
      path: [
        [0, 0.6, 0.5],
        [4, 0.6, 0.5],
      ],
    });
    const { events } = play([rule], film([staying, passing], { seconds: 20 }));
    expect(told(events)).toEqual(['loitering.start@5', 'loitering.end@15.1']);
  });

  it('does not begin again for one who steps out for a moment', () => {
    const path = [
      [0, 0.8, 0.5],
      [4, 0.8, 0.5],
      [4.1, 0.4, 0.5],
      [6, 0.4, 0.5],
      [6.1, 0.8, 0.5],
      [12, 0.8, 0.5],
    ] as const;
    expect(told(play([rule], film([walk({ path })], { seconds: 12 })).events)).toEqual([
      'loitering.start@6.1',
      'loitering.end@12',
    ]);
  });
});

describe('crowd', () => {
  const rule = { kind: 'crowd', id: 'many', atLeast: 3, after: '2s', leaveAfter: '1s', updateInterval: '0s' } as const;

  it('tells when there are enough for long enough, and its peak', () => {
    const frames = film(
      [standing(1, 0, 20), standing(2, 1, 20), standing(3, 2, 10), standing(4, 5, 8), standing(5, 12, 13)],
      { seconds: 20 },
    );
    const { events } = play([{ ...rule, endBelow: 3 }], frames);
    expect(told(events)).toEqual(['crowd.start@4.3', 'crowd.end@11.1']);
    expect(events[1]?.data).toMatchObject({ count: 2, peak: 4 });
    expect(events[0]?.data).not.toHaveProperty('zone');
  });

  it('goes on between the two thresholds', () => {
    const frames = film([standing(1, 0, 20), standing(2, 0, 20), standing(3, 0, 5), standing(4, 9, 20)], {
      seconds: 20,
    });
    expect(told(play([rule], frames).events)).toEqual(['crowd.start@2.3', 'crowd.end@20']);
  });

  it('is not formed by those who pass one after the other', () => {
    const frames = film([standing(1, 0, 3), standing(2, 3, 6), standing(3, 6, 9), standing(4, 9, 12)], { seconds: 12 });
    expect(play([rule], frames).events).toEqual([]);
  });

  it('counts in its zone only', () => {
    const frames = film(
      [1, 2, 3, 4, 5].map((id) => standing(id, 0, 8)),
      { seconds: 8 },
    );
    expect(play([{ ...rule, zone: 'yard' }], frames).events).toHaveLength(2);
    expect(play([{ ...rule, zone: 'yard', atLeast: 4 }], frames).events).toEqual([]);
  });
});

describe('all rules', () => {
  const staying = film(
    [
      walk({
        path: [
          [0, 0.8, 0.5],
          [5, 0.8, 0.5],
        ],
      }),
    ],
    { seconds: 5 },
  );

  it('end late when the camera is blind, and do not hang', () => {
    const config = parseConfig({ cameras: [frontCamera], rules: [zoneRule] });
    const rules = compileRules(config, { run: 'r', timeZone: 'UTC' });
    let state = rules.initial();
    for (const frame of staying) ({ state } = rules.step(state, frame));
    const soon = rules.quiet(state, 'front', { wallMs: 10_000, monoMs: 10_000 });
    expect(soon).toEqual({ state, events: [] });
    const late = rules.quiet(state, 'front', { wallMs: 40_000, monoMs: 40_000 });
    expect(told(late.events)).toEqual(['zone.end@40']);
    expect(rules.quiet(late.state, 'front', { wallMs: 90_000, monoMs: 90_000 }).events).toEqual([]);
  });

  it('take a track of a restarted tracker for another object', () => {
    const again = film(
      [
        walk({
          path: [
            [6, 0.2, 0.5],
            [12, 0.2, 0.5],
          ],
        }),
      ],
      { seconds: 12 },
    ).slice(51);
    expect(told(play([zoneRule], [...staying, ...again]).events)).toEqual(['zone.start@0.3', 'zone.end@6.1']);
  });

  it('begin anew when time runs backwards', () => {
    const { events } = play([zoneRule], [...staying, ...staying]);
    expect(told(events)).toEqual(['zone.start@0.3', 'zone.end@5', 'zone.start@0.3', 'zone.end@5']);
    expect(incidentOf(events[2])).toBe('replay.in.front.2');
  });

  it('keep cameras apart, and know nothing of others', () => {
    const rear = { ...frontCamera, id: 'rear' };
    const both = staying.flatMap((frame) => [frame, { ...frame, camera: 'rear' }, { ...frame, camera: 'constructor' }]);
    const only = play([{ ...zoneRule, cameras: ['rear'] }], both, { cameras: [frontCamera, rear] });
    expect(new Set(only.events.map(({ subject }) => subject))).toEqual(new Set(['camera/rear']));
    const each = play([zoneRule], both, { cameras: [frontCamera, rear] });
    expect(each.events).toHaveLength(4);
  });

  it('tell nothing when they are switched off', () => {
    expect(play([{ ...zoneRule, enabled: false }], staying).events).toEqual([]);
  });

  it('forget tracks that are gone', () => {
    const gone = film(
      [
        walk({
          path: [
            [0, 0.8, 0.5],
            [1, 0.8, 0.5],
          ],
        }),
      ],
      { seconds: 10 },
    );
    const rules = [zoneRule, { kind: 'line', id: 'l', line: 'gate' }, { kind: 'crowd', id: 'c' }] as const;
    const { state } = play(rules, gone, { end: 'open' });
    expect(JSON.stringify(state)).not.toContain('sighting');
    expect(JSON.stringify(state)).not.toContain('foot');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Lane } from '#agent/domain/lane.ts';
import { type Append, Backlog } from './backlog.ts';
import { testEvent } from './test-rig.ts';

const append = (lanes: readonly Lane[]): Append => ({
  request: lanes.map((lane, n) => testEvent(lane, n)),
  clock: 'synced',
  resolve: () => undefined,
  reject: () => undefined,
});

describe('the backlog', () => {
  it('gives everything back once, in the order of each lane, and counts what is left', () => {
    const lanes = fc.array(fc.constantFrom<Lane>('alarm', 'event', 'audit'), { minLength: 1, maxLength: 3 });
    const step = fc.oneof(
      lanes.map((of) => ({ is: 'push', of }) as const),
      fc.integer({ min: 1, max: 4 }).map((most) => ({ is: 'take', most }) as const),
      fc.integer({ min: 1, max: 4 }).map((most) => ({ is: 'alarms', most }) as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const backlog = new Backlog();
        const [pushed, taken]: [Append[], Append[]] = [[], []];
        for (const each of steps) {
          if (each.is === 'push') {
            const one = append(each.of);
            pushed.push(one);
            backlog.push(one);
          } else taken.push(...(each.is === 'take' ? backlog.take(each.most) : backlog.takeAlarms(each.most)));
          const left = pushed.filter((one) => !taken.includes(one));
          expect(backlog.isEmpty).toBe(left.length === 0);
          expect(backlog.events).toBe(left.flatMap(({ request }) => request).length);
          const lanesLeft = left.flatMap(({ request }) => request.map(({ lane }) => lane));
          expect(backlog.hasAlarms).toBe(lanesLeft.includes('alarm'));
        }
        taken.push(...backlog.takeAll());
        expect(new Set(taken)).toEqual(new Set(pushed));
        expect(taken).toHaveLength(pushed.length);
        for (const lane of ['alarm', 'event', 'audit'] as const) {
          const inLane = (all: readonly Append[]) =>
            all.flatMap(({ request }) => request.filter((event) => event.lane === lane));
          expect(inLane(taken).every((event, index) => event === inLane(pushed)[index])).toBe(true);
        }
      }),
    );
  });

  it('takes one append that is larger than a Job', () => {
    const backlog = new Backlog();
    backlog.push(append(['event', 'event', 'event']));
    backlog.push(append(['event']));
    expect(backlog.take(2)).toHaveLength(1);
    expect(backlog.events).toBe(1);
  });
});

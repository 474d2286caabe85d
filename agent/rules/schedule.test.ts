/** Weekly windows against real calendars: midnight, the end of the week, and the hours that summer time takes and gives. */
import { describe, expect, it } from 'vitest';
import { type ScheduleWindow, windowSchema } from '#config/rule.ts';
import { compileSchedule } from './schedule.ts';

const window = (input: Record<string, unknown>): ScheduleWindow => windowSchema.parse(input);
const inside = (timeZone: string, windows: readonly ScheduleWindow[], ...moments: string[]): boolean[] => {
  const schedule = compileSchedule(windows, timeZone);
  return moments.map((moment) => schedule(Date.parse(moment)));
};

describe('schedule', () => {
  it('is always without windows', () => {
    expect(inside('UTC', [], '2026-11-23T12:00:00Z')).toEqual([true]);
  });

  it('is half-open: it begins on its minute and ends on its minute', () => {
    const day = [window({ from: '08:00', to: '18:00' })];
    expect(
      inside(
        'UTC',
        day,
        '2026-11-23T07:59:59.999Z',
        '2026-11-23T08:00:00Z',
        '2026-11-23T17:59:59Z',
        '2026-11-23T18:00:00Z',
      ),
    ).toEqual([false, true, true, false]);
  });

  it('takes a window over midnight into the next day, and from Saturday into Sunday', () => {
    const night = [window({ days: ['sat'], from: '22:00', to: '06:00' })];
    // 2026-11-21 is a Saturday.
    expect(
      inside(
        'UTC',
        night,
        '2026-11-21T05:00:00Z',
        '2026-11-21T22:00:00Z',
        '2026-11-22T05:59:00Z',
        '2026-11-22T06:00:00Z',
      ),
    ).toEqual([false, true, true, false]);
  });

  it('covers whole days up to 24:00', () => {
    const weekend = [window({ days: ['sat', 'sun'] })];
    expect(
      inside(
        'Asia/Shanghai',
        weekend,
        '2026-11-20T15:59:00Z',
        '2026-11-20T16:00:00Z',
        '2026-11-22T15:59:00Z',
        '2026-11-22T16:00:00Z',
      ),
    ).toEqual([false, true, true, false]);
  });

  it('follows summer time', () => {
    const early = [window({ from: '02:00', to: '03:00' })];
    // Berlin, 2026-03-29: 02:00 to 03:00 does not exist. 2026-10-25: it happens twice.
    expect(inside('Europe/Berlin', early, '2026-03-29T00:59:00Z', '2026-03-29T01:00:00Z')).toEqual([false, false]);
    expect(
      inside('Europe/Berlin', early, '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:00:00Z'),
    ).toEqual([true, true, false]);
  });

  it('knows zones that are not whole hours away', () => {
    const noon = [window({ from: '12:00', to: '12:01' })];
    expect(inside('Asia/Kathmandu', noon, '2026-11-23T06:15:00Z', '2026-11-23T06:16:00Z')).toEqual([true, false]);
  });
});

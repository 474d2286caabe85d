/** Weekly windows in local time: is this moment inside one? */
import type { ScheduleWindow, Weekday } from '#config/rule.ts';

export type Schedule = (wallMs: number) => boolean;

/** Sunday first, as `Date.getUTCDay` counts. */
const order: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const dayMinutes = 24 * 60;

/** @param timeZone an IANA name, or `system` */
export function compileSchedule(windows: readonly ScheduleWindow[], timeZone: string): Schedule {
  if (windows.length === 0) return () => true;
  const localMinute = minuteOfWeek(timeZone);
  const spans = windows.flatMap(toSpans);
  return (wallMs) => {
    const minute = localMinute(wallMs);
    return spans.some(([from, to]) => minute >= from && minute < to);
  };
}

/** Half-open spans of minutes since Sunday 00:00; a window over midnight reaches into the next day. */
function toSpans({ days, from, to }: ScheduleWindow): [from: number, to: number][] {
  return days.flatMap((day): [number, number][] => {
    const midnight = order.indexOf(day) * dayMinutes;
    if (from < to) return [[midnight + from, midnight + to]];
    const next = (midnight + dayMinutes) % (7 * dayMinutes);
    return [
      [midnight + from, midnight + dayMinutes],
      [next, next + to],
    ];
  });
}

/** Asking the time zone's rules is slow and their answer holds for a minute at least, so the last one is kept. */
function minuteOfWeek(timeZone: string): (wallMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...(timeZone === 'system' ? {} : { timeZone }),
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  let keptMinute = Number.NaN;
  let kept = 0;
  return (wallMs) => {
    const minute = Math.floor(wallMs / 60_000);
    if (minute === keptMinute) return kept;
    const parts = new Map(format.formatToParts(wallMs).map(({ type, value }) => [type, value]));
    const day = order.indexOf((parts.get('weekday') ?? '').toLowerCase() as Weekday);
    kept = day * dayMinutes + Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
    keptMinute = minute;
    return kept;
  };
}

/** While the disk refuses, events wait; what finds no room is counted, and alarms are the last to go. */
import { describe, expect, it } from 'vitest';
import { OutpostError } from '#agent/core/errors.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Intake } from './intake.ts';

const event = (incident: string, lane: Lane = 'event'): Event => ({
  kind: 'camera',
  phase: 'start',
  lane,
  subject: 'camera/front',
  wallMs: 0,
  monoMs: 0,
  data: { incident, condition: 'no-frames', durationMs: 0 },
});

function intakeWith(append: (events: readonly Event[]) => Promise<void>, capacity = 4) {
  const clock = new ManualClock();
  const health = new Health(clock);
  return { clock, health, intake: new Intake({ append, capacity, clock, random: () => 0, health, log: silentLog }) };
}

describe('the intake', () => {
  it('writes in order, again and again until the disk takes it', async () => {
    let refusals = 3;
    const written: string[] = [];
    const { clock, health, intake } = intakeWith(async (events) => {
      if (refusals > 0) {
        refusals -= 1;
        await Promise.reject(new OutpostError('internal', 'disk says no'));
      }
      written.push(...events.map((entry) => (entry.data as { incident: string }).incident));
    });
    const stop = new AbortController();
    const running = intake.run(stop.signal);
    intake.offer([event('a'), event('b')]);
    await clock.advance(100);
    expect(health.worst()).toBe('critical');
    intake.offer([event('c')]);
    await clock.advance(60_000);
    expect(written).toEqual(['a', 'b', 'c']);
    expect(health.worst()).toBe('ok');
    expect(intake.lost).toBe(0);
    stop.abort();
    await running;
  });

  it('gives up the oldest that is no alarm, then refuses, and counts both', async () => {
    const { intake } = intakeWith(async () => await Promise.reject(new Error('no')), 3);
    intake.offer([
      event('a'),
      event('x', 'alarm'),
      event('b'),
      event('y', 'alarm'),
      event('z', 'alarm'),
      event('w', 'alarm'),
    ]);
    expect(intake.waiting).toBe(3);
    expect(intake.lost).toBe(3);
  });

  it('writes what waits before it ends', async () => {
    const written: Event[] = [];
    const { intake } = intakeWith(async (events) => {
      written.push(...events);
      await Promise.resolve();
    });
    const stop = new AbortController();
    stop.abort();
    intake.offer([event('a')]);
    await intake.run(stop.signal);
    expect(written).toHaveLength(1);
  });
});

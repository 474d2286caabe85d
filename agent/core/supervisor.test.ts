/** Services that fail are started again, alone, with backoff; a crash loop rests and is tried again. */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Health } from './health.ts';
import { silentLog } from './log.ts';
import { supervise } from './supervisor.ts';

const options = (clock: ManualClock) => ({ clock, random: () => 0.5, log: silentLog });

async function until(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

describe('the supervisor', () => {
  it('starts a failed service again and leaves the others alone', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    let starts = 0;
    let steady = 0;
    const done = supervise(
      [
        {
          name: 'shaky',
          run: async () => {
            starts += 1;
            await Promise.reject(new Error('no'));
          },
        },
        {
          name: 'steady',
          run: async (signal) => {
            steady += 1;
            await until(signal);
          },
        },
      ],
      options(clock),
      stop.signal,
    );
    await clock.advance(10_000);
    expect(starts).toBeGreaterThan(2);
    expect(steady).toBe(1);
    stop.abort();
    await done;
  });

  it('gives up after five failures within a minute, says so, and tries again after the rest', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const told: boolean[] = [];
    const service = {
      name: 'broken',
      policy: { maxBackoffMs: 1_000 },
      run: async () => await Promise.reject(new Error('no')),
      onFailure: (_error: unknown, gaveUp: boolean) => told.push(gaveUp),
    };
    const done = supervise([service], options(clock), stop.signal);
    await clock.advance(59_000);
    expect(told).toEqual([false, false, false, false, true]);
    await clock.advance(300_000);
    expect(told.length).toBeGreaterThan(5);
    stop.abort();
    await done;
  });

  it('takes a slow crash loop for one as well', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    let gaveUp = 0;
    const service = {
      name: 'slow',
      run: async (signal: AbortSignal) => {
        await clock.sleep(120_000, signal);
        throw new Error('again');
      },
      onFailure: (_error: unknown, given: boolean) => {
        if (given) gaveUp += 1;
      },
    };
    const done = supervise([service], options(clock), stop.signal);
    await clock.advance(3_500_000);
    expect(gaveUp).toBe(1);
    stop.abort();
    await done;
  });

  it('takes a service that returns unasked for a failed one', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const codes: string[] = [];
    const done = supervise(
      [{ name: 'short', run: async () => await Promise.resolve(), onFailure: ({ code }) => codes.push(code) }],
      options(clock),
      stop.signal,
    );
    await clock.advance(100);
    expect(codes).toEqual(['internal']);
    stop.abort();
    await done;
  });
});

describe('health', () => {
  it('holds conditions until they are cleared, with the time of their first', async () => {
    const clock = new ManualClock();
    const health = new Health(clock);
    let changes = 0;
    health.onChange(() => {
      changes += 1;
    });
    health.set('camera-down', 'camera/front', 'no route');
    const since = health.entries()[0]?.sinceMs;
    await clock.advance(5_000);
    health.set('camera-down', 'camera/front', 'no route');
    health.set('camera-down', 'camera/front', 'refused');
    expect(health.entries()).toMatchObject([{ detail: 'refused', sinceMs: since, severity: 'warning' }]);
    expect(health.worst()).toBe('warning');
    health.clear('camera-down', 'camera/front');
    expect(health.worst()).toBe('ok');
    expect(changes).toBe(3);
  });
});

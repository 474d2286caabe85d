import { describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { fairClock } from './fair-clock.ts';

const standStill = (ms: number): void => {
  for (const endsAt = systemClock.monoMs() + ms; systemClock.monoMs() < endsAt;);
};

describe('the fair clock', () => {
  it('does not count the time in which the process stood still', async () => {
    const clock = fairClock();
    await systemClock.sleep(20);
    const [before, systemBefore] = [clock.monoMs(), systemClock.monoMs()];
    const slept = clock.sleep(100);
    standStill(400);
    await slept;
    expect(systemClock.monoMs() - systemBefore).toBeGreaterThan(450);
    expect(clock.monoMs() - before).toBeGreaterThanOrEqual(99);
  });

  it('ends a sleep by its signal', async () => {
    const clock = fairClock();
    await expect(clock.sleep(60_000, AbortSignal.timeout(10))).rejects.toThrow();
  });
});

/** The pace of pictures: half of what is known of the line, and behind the events. */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Pace } from './pace.ts';

const never = new AbortController().signal;
const kib = 1_024;

interface Gone {
  readonly atMs: number;
  readonly bytes: number;
}

/** Takes all slices, moving the clock by what is slept. */
async function goes(pace: Pace, clock: ManualClock, size: number, limitMs = 60_000): Promise<Gone[]> {
  const gone: Gone[] = [];
  let waits = 1;
  const taking = (async () => {
    for await (const slice of pace.slices(new Uint8Array(size), never)) {
      gone.push({ atMs: clock.monoMs(), bytes: slice.byteLength });
    }
    waits = 0;
  })();
  for (let ms = 0; ms < limitMs * waits; ms += 10) await clock.advance(10);
  await taking;
  return gone;
}

describe('the pace of a picture', () => {
  it('is slices of 50 ms at 64 KiB/s while nothing is known, and nothing is left out', async () => {
    const clock = new ManualClock();
    const pace = new Pace({ clock, line: () => undefined });
    const gone = await goes(pace, clock, 64 * kib + 7);
    expect(gone.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(64 * kib + 7);
    expect(Math.max(...gone.map(({ bytes }) => bytes))).toBeLessThanOrEqual((64 * kib) / 20);
    expect(gone.at(-1)?.atMs).toBeGreaterThan(950);
  });

  it('is at most half of what the main line was measured to carry', async () => {
    const clock = new ManualClock();
    const bytesPerSecond = 1_250_000;
    const pace = new Pace({ clock, line: () => ({ bytesPerSecond, inFlightBytes: 0 }) });
    expect(pace.bytesPerSecond).toBe(bytesPerSecond / 2);
    const gone = await goes(pace, clock, 625_000);
    // what the line carries in 25 ms: so long may an alarm wait behind a slice
    expect(Math.max(...gone.map(({ bytes }) => bytes))).toBeLessThanOrEqual(bytesPerSecond * 0.025);
    expect(gone.at(-1)?.atMs).toBeGreaterThan(900);
  });

  it('lets events pass: one slice in two seconds while they are in flight', async () => {
    const clock = new ManualClock();
    let inFlightBytes = 5_000;
    const pace = new Pace({ clock, line: () => ({ bytesPerSecond: 0, inFlightBytes }) });
    const going = goes(pace, clock, 32 * kib);
    const gone = await (async () => {
      const all = await Promise.race([going, clockAt(clock, 6_000)]);
      inFlightBytes = 0;
      return all ?? (await going);
    })();
    const early = gone.filter(({ atMs }) => atMs < 6_000);
    expect(early.map(({ atMs }) => Math.round(atMs / 1_000))).toEqual([2, 4]);
    expect(gone.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(32 * kib);
  });

  it('grows by a quarter while the line keeps up, and halves what a slower line showed', () => {
    const pace = new Pace({ clock: new ManualClock(), line: () => undefined });
    pace.answered(64 * kib, 1_000);
    expect(pace.bytesPerSecond).toBe(80 * kib);
    pace.answered(80 * kib, 4_000);
    expect(pace.bytesPerSecond).toBe(10 * kib);
    for (let n = 0; n < 100; n += 1) pace.answered(16 * 1024 * kib, 1);
    expect(pace.bytesPerSecond).toBe(16 * 1024 * kib);
    pace.answered(4 * kib, 1e9);
    expect(pace.bytesPerSecond).toBe(4 * kib);
    pace.answered(10, 1e9);
    expect(pace.bytesPerSecond).toBe(4 * kib);
  });
});

async function clockAt(clock: ManualClock, ms: number): Promise<undefined> {
  while (clock.monoMs() < ms) await new Promise((resolve) => setImmediate(resolve));
  return undefined;
}

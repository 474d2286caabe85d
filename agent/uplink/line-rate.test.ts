import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineRate } from './line-rate.ts';

interface Line {
  readonly bytesPerMs: number;
  readonly rttMs: number;
}

interface Seen {
  readonly delivered: number;
  readonly worstQueueMs: number;
  readonly inFlightMs: number;
}

/** A line of one bottleneck, kept as full as the rate allows; what `settleMs` covers is not judged. */
function simulate(line: Line, batchBytes: number, lengthMs: number, settleMs: number): Seen {
  const rate = new LineRate(batchBytes);
  const answers: { readonly atMs: number; readonly answer: () => void }[] = [];
  let [nowMs, freeMs, delivered, worstQueueMs, inFlightMs] = [0, 0, 0, 0, 0];
  rate.roundTrip(line.rttMs);
  while (nowMs < lengthMs) {
    while (!rate.isFull) {
      const bytes = Math.max(1_000, rate.batchBytes);
      const flight = rate.sent(bytes, nowMs);
      if (nowMs > settleMs) worstQueueMs = Math.max(worstQueueMs, freeMs - nowMs);
      freeMs = Math.max(nowMs, freeMs) + bytes / line.bytesPerMs;
      const atMs = freeMs + line.rttMs;
      answers.push({ atMs, answer: () => (rate.answered(flight, atMs), (delivered += nowMs > settleMs ? bytes : 0)) });
    }
    if (nowMs > settleMs) inFlightMs = Math.max(inFlightMs, rate.inFlightBytes / line.bytesPerMs);
    const next = answers.shift();
    if (!next) break;
    nowMs = next.atMs;
    next.answer();
  }
  return { delivered, worstQueueMs, inFlightMs };
}

describe('the rate of a line', () => {
  it('keeps the line busy, and little of it waiting, whatever its speed and length', () => {
    const lines = fc.record({
      bytesPerMs: fc.double({ min: 16, max: 12_500, noNaN: true }),
      rttMs: fc.double({ min: 0.2, max: 700, noNaN: true }),
    });
    fc.assert(
      fc.property(lines, fc.integer({ min: 4_000, max: 65_536 }), (line, batchBytes) => {
        const { delivered, worstQueueMs } = simulate(line, batchBytes, 60_000, 20_000);
        // a batch is at least one event, which alone may take its time on the slowest of lines
        const oneBatchMs = batchBytes / 4 / line.bytesPerMs;
        expect(worstQueueMs).toBeLessThan(200 + Math.min(oneBatchMs, 60));
        expect(delivered).toBeGreaterThan(0.8 * line.bytesPerMs * 40_000);
      }),
      { numRuns: 60, examples: [[{ bytesPerMs: 16, rttMs: 629.4 }, 8_192]] },
    );
  });

  it('has less than 200 ms of a short line in flight', () => {
    expect(simulate({ bytesPerMs: 1_250, rttMs: 5 }, 65_536, 30_000, 10_000).inFlightMs).toBeLessThan(200);
    expect(simulate({ bytesPerMs: 125, rttMs: 20 }, 65_536, 30_000, 10_000).inFlightMs).toBeLessThan(200);
  });

  it('lets one publish out before anything is known, and while nothing is answered no more than a little', () => {
    const rate = new LineRate(65_536);
    expect(rate.bytesPerSecond).toBeUndefined();
    expect(rate.isFull).toBe(false);
    rate.sent(100_000, 0);
    expect(rate.isFull).toBe(true);
    expect(rate.inFlightBytes).toBe(100_000);
  });
});

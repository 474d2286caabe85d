/** What the broker was asked, outside the drain, and owes an answer to: a line may answer pings and nothing else. */
import type { Clock } from '#agent/core/clock.ts';

export class Owed {
  readonly #clock: Clock;
  readonly #since = new Set<{ readonly monoMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the oldest that has no answer was asked, monotonic; Infinity: none. */
  get oldestMonoMs(): number {
    return Math.min(...[...this.#since].map(({ monoMs }) => monoMs));
  }

  async until<T>(answer: Promise<T>): Promise<T> {
    const asked = { monoMs: this.#clock.monoMs() };
    this.#since.add(asked);
    try {
      return await answer;
    } finally {
      this.#since.delete(asked);
    }
  }
}

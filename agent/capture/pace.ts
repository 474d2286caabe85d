/** A steady rhythm: late steps do not shift the ones after them, and are not made up for in a burst. */
import type { Clock } from '#agent/core/clock.ts';

export class Pace {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #dueMs: number;

  /** @param intervalMs 0: no waiting at all */
  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#dueMs = clock.monoMs();
  }

  /** Resolves when the next step is due, at once the first time; rejects with the signal's reason. */
  async next(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#intervalMs === 0) return;
    const waitMs = this.#dueMs - this.#clock.monoMs();
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
    const now = this.#clock.monoMs();
    this.#dueMs = (now - this.#dueMs < this.#intervalMs ? this.#dueMs : now) + this.#intervalMs;
  }
}

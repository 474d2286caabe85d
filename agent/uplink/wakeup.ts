/** One waiter, many who ring: a ring while nobody waits is not lost. */
import type { Clock } from '#agent/core/clock.ts';

export class Wakeup {
  readonly #clock: Clock;
  #rung = false;
  #resolve: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  /** Returns when rung, after `ms`, or when aborted, whatever comes first. */
  async wait(signal: AbortSignal, ms?: number): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const over = new AbortController();
      const rung = new Promise<void>((resolve) => {
        this.#resolve = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true, signal: over.signal });
      });
      const late = ms === undefined ? [] : [this.#clock.sleep(ms, over.signal).catch(() => undefined)];
      await Promise.race([rung, ...late]);
      over.abort();
      this.#resolve = undefined;
    }
    this.#rung = false;
  }
}

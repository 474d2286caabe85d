/** A clock that moves only when a test says so. */
import type { Clock } from '#agent/core/clock.ts';

interface Sleeper {
  readonly wakeAtMs: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #monoMs = 0;
  #wallOffsetMs: number;
  #sleepers: Sleeper[] = [];

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallOffsetMs = wallMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#monoMs;
  }

  monoMs(): number {
    return this.#monoMs;
  }

  /** How many wait now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const sleeper = { wakeAtMs: this.#monoMs + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener(
        'abort',
        () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  /** The wall clock jumps; monotonic time does not. */
  stepWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Moves both clocks, waking sleepers in order, and lets what they wake run. */
  async advance(ms: number): Promise<void> {
    // What was started just before this call gets to its first wait.
    await new Promise((resolve) => setImmediate(resolve));
    const target = this.#monoMs + ms;
    for (;;) {
      const due = this.#sleepers
        .filter(({ wakeAtMs }) => wakeAtMs <= target)
        .sort((a, b) => a.wakeAtMs - b.wakeAtMs)[0];
      if (!due) break;
      this.#monoMs = due.wakeAtMs;
      this.#sleepers = this.#sleepers.filter((other) => other !== due);
      due.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#monoMs = target;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

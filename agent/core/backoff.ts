/**
 * Waiting times between tries: exponential with full jitter, so that a thousand devices do not come back at once.
 * (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** The next wait: uniform between minMs and min(maxMs, minMs * 2^failures). */
  nextMs(): number {
    const { minMs, maxMs } = this.#options;
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return minMs + this.#random() * Math.max(0, ceiling - minMs);
  }

  get failures(): number {
    return this.#failures;
  }

  /** Call it when the thing works again. */
  reset(): void {
    this.#failures = 0;
  }
}

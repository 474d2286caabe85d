/** Figures of the last moments: how many a second, and their quantiles. */

interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** A flood may not fill the memory; the newest are what counts. */
const mostSamples = 4_096;

export class SlidingWindow {
  readonly #lengthMs: number;
  #samples: Sample[] = [];
  #firstAtMs: number | undefined;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  add(atMs: number, value: number): void {
    this.#firstAtMs ??= atMs;
    this.#samples.push({ atMs, value });
    if (this.#samples.length > mostSamples) this.#samples = this.#samples.slice(-mostSamples / 2);
  }

  /** Samples a second, over the window or since the first sample if that is shorter ago. */
  perSecond(nowMs: number): number {
    this.#forget(nowMs);
    if (this.#firstAtMs === undefined || this.#samples.length === 0) return 0;
    const span = Math.max(1_000, Math.min(this.#lengthMs, nowMs - Math.max(this.#firstAtMs, nowMs - this.#lengthMs)));
    return (this.#samples.length * 1_000) / span;
  }

  /** @returns a value for each quantile (0..1), nearest rank; undefined without samples */
  quantiles(nowMs: number, wanted: readonly number[]): readonly number[] | undefined {
    this.#forget(nowMs);
    const sorted = this.#samples.map(({ value }) => value).sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    return wanted.map(
      (q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] as number,
    );
  }

  #forget(nowMs: number): void {
    const from = this.#samples.findIndex(({ atMs }) => nowMs - atMs <= this.#lengthMs);
    this.#samples = from < 0 ? [] : this.#samples.slice(from);
  }
}

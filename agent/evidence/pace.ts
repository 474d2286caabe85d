/**
 * How fast a picture may leave by a connection of its own, so that no alarm waits behind it on the same line.
 *
 *   bytes --> slices of 50 ms, one after the other --> while the main line has bytes in flight: one slice in 2 s
 *
 * A slice is what the line carries in 25 ms, since the pace is half of what was measured: of the main line, when events
 * filled it lately, or of the pictures before. What is measured of an idle main line is too little, so pictures measure
 * on their own: a line that kept up is given a quarter more the next time, one that did not half of what it showed. The
 * quarter bounds what may gather in the line to a fifth of one picture.
 */
import type { Clock } from '#agent/core/clock.ts';

export interface PaceOptions {
  readonly clock: Clock;
  /** Of the main line: bytes a second that it was measured to carry, and bytes in flight on it. */
  readonly line: () => { readonly bytesPerSecond: number | undefined; readonly inFlightBytes: number } | undefined;
}

const firstBytesPerSecond = 64 * 1024;
const leastBytesPerSecond = 4 * 1024;
const mostBytesPerSecond = 16 * 1024 * 1024;
const sliceMs = 50;
const leastSliceBytes = 1_024;
const yieldMs = 2_000;
const lookMs = 20;
const keptUp = 0.8;
const growth = 1.25;

export class Pace {
  readonly #options: PaceOptions;
  #own = firstBytesPerSecond;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  get bytesPerSecond(): number {
    const half = (this.#options.line()?.bytesPerSecond ?? 0) / 2;
    return Math.min(mostBytesPerSecond, Math.max(this.#own, half));
  }

  /** The slices of `bytes`, each when it may go. @throws the signal's reason */
  async *slices(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { clock } = this.#options;
    let from = 0;
    while (from < bytes.byteLength) {
      await this.#letEventsPass(signal);
      const length = Math.max(leastSliceBytes, Math.floor((this.bytesPerSecond * sliceMs) / 1_000));
      const slice = bytes.subarray(from, from + length);
      yield slice;
      from += slice.byteLength;
      if (from < bytes.byteLength) await clock.sleep((1_000 * slice.byteLength) / this.bytesPerSecond, signal);
    }
  }

  /** `bytes` went and were answered within `ms`, the round trip left out. */
  answered(bytes: number, ms: number): void {
    if (bytes < leastSliceBytes) return;
    const measured = (1_000 * bytes) / Math.max(1, ms);
    const pace = this.bytesPerSecond;
    const next = measured >= keptUp * pace ? pace * growth : measured / 2;
    this.#own = Math.min(mostBytesPerSecond, Math.max(leastBytesPerSecond, next));
  }

  /** Not for ever: a trickle keeps the server from hanging up. */
  async #letEventsPass(signal: AbortSignal): Promise<void> {
    const { clock, line } = this.#options;
    const until = clock.monoMs() + yieldMs;
    while ((line()?.inFlightBytes ?? 0) > 0 && clock.monoMs() < until) await clock.sleep(lookMs, signal);
  }
}

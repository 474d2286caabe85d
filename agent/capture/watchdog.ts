/** Watches frames, not sockets: throws when none came for too long. */
import type { Clock } from '#agent/core/clock.ts';
import { formatDuration } from '#agent/core/duration.ts';
import { OutpostError } from '#agent/core/errors.ts';

/** A stream may need this long from its opening to its first frame: a key frame must come by. */
const openingMs = 15_000;

export class Watchdog {
  readonly #clock: Clock;
  readonly #stallMs: number;
  #limitMs: number;
  #fedAt: number;
  #resting = false;

  constructor(clock: Clock, stallMs: number) {
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.#limitMs = Math.max(stallMs, openingMs);
    this.#fedAt = clock.monoMs();
  }

  /** While the reader is the one who makes us wait, nobody stalls. */
  rest(): void {
    this.#resting = true;
  }

  /** A frame came, or the reader goes on. */
  feed(): void {
    this.#resting = false;
    this.#fedAt = this.#clock.monoMs();
    this.#limitMs = this.#stallMs;
  }

  /**
   * Returns when the signal is aborted.
   * @throws OutpostError `source-stalled`
   */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#resting) this.#fedAt = this.#clock.monoMs();
      const leftMs = this.#fedAt + this.#limitMs - this.#clock.monoMs();
      if (leftMs <= 0) {
        throw new OutpostError('source-stalled', `No frame came for ${formatDuration(this.#limitMs)}.`);
      }
      // Not longer: the limit shrinks at the first frame.
      await this.#clock.sleep(Math.min(leftMs, this.#stallMs), signal).catch(() => undefined);
    }
  }
}

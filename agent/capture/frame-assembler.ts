/**
 * Raw bytes in any cut, whole frames out: copied once, straight into the pool.
 *
 *   stdout chunks --push()--> slot ... full --> FrameQueue.deliver
 */
import type { Clock } from '#agent/core/clock.ts';
import type { CaptureTime, PictureSize } from '#agent/domain/frame.ts';
import type { FrameQueue, Slot } from './frame-queue.ts';

export interface AssemblerOptions {
  readonly queue: FrameQueue;
  readonly frameBytes: number;
  /** `every`: without a free slot the bytes wait; `newest`: they are given up. */
  readonly frames: 'newest' | 'every';
  readonly clock: Clock;
  /** Asked at the end of each frame: whether the reader may see it. */
  readonly isSound: () => boolean;
  readonly onFrame: () => void;
}

export class FrameAssembler {
  readonly #options: AssemblerOptions;
  #slot: Slot | undefined;
  #filled = 0;
  #capturedAt: CaptureTime = { wallMs: 0, monoMs: 0 };

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  /**
   * @param source size of the picture that these bytes were made from
   * @returns how many bytes were taken: all of them, but in `every` mode only what there is room for
   */
  push(chunk: Uint8Array, source: PictureSize): number {
    const { frameBytes, frames } = this.#options;
    let taken = 0;
    while (taken < chunk.length) {
      if (this.#filled === 0 && !this.#begin() && frames === 'every') return taken;
      const count = Math.min(frameBytes - this.#filled, chunk.length - taken);
      this.#slot?.set(count === chunk.length ? chunk : chunk.subarray(taken, taken + count), this.#filled);
      this.#filled += count;
      taken += count;
      if (this.#filled < frameBytes) break;
      this.#filled = 0;
      this.#finish(source);
    }
    return taken;
  }

  /** Gives back what was not filled. */
  close(): void {
    if (this.#slot) this.#options.queue.release(this.#slot);
    this.#slot = undefined;
  }

  #finish(source: PictureSize): void {
    const { queue, isSound, onFrame } = this.#options;
    const slot = isSound() ? this.#slot : undefined;
    if (slot) {
      this.#slot = undefined;
      queue.deliver(slot, this.#capturedAt, source);
    } else queue.lose();
    onFrame();
  }

  #begin(): boolean {
    const { clock, queue } = this.#options;
    this.#slot ??= queue.slot();
    this.#capturedAt = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
    return this.#slot !== undefined;
  }
}

/**
 * Raw bytes in any cut, whole frames out, read straight into the pool.
 *
 *   FramePipe --target(), accept()--> slot ... full --> FrameQueue.deliver
 */
import type { Clock } from '#agent/core/clock.ts';
import type { CaptureTime, PictureSize } from '#agent/domain/frame.ts';
import type { PipeReader } from './frame-pipe.ts';
import type { FrameQueue, Slot } from './frame-queue.ts';

export interface FrameFacts {
  /** Size of the picture that the frame was made from. */
  readonly source: PictureSize;
  /** Whether the reader may see it. */
  readonly sound: boolean;
}

export interface AssemblerOptions {
  readonly queue: FrameQueue;
  readonly frameBytes: number;
  /** `every`: without a free slot reading stops; `newest`: the bytes are given up. */
  readonly frames: 'newest' | 'every';
  readonly clock: Clock;
  /** Asked at the end of each frame, until it is answered; undefined: not known yet, reading stops. */
  readonly facts: () => FrameFacts | undefined;
  readonly onFrame: (source: PictureSize) => void;
}

export class FrameAssembler implements PipeReader {
  readonly #options: AssemblerOptions;
  /** Takes bytes that have no slot. Not larger than a frame, so that what it holds fits into one slot. */
  readonly #scratch: Uint8Array;
  #slot: Slot | undefined;
  #filled = 0;
  #capturedAt: CaptureTime = { wallMs: 0, monoMs: 0 };

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#scratch = new Uint8Array(Math.min(options.frameBytes, 65_536));
    this.#slot = options.queue.slot();
  }

  target(): Uint8Array {
    const left = this.#options.frameBytes - this.#filled;
    return this.#slot && left > 0 ? this.#slot.subarray(this.#filled) : this.#scratch.subarray(0, left || undefined);
  }

  /** @returns false when reading must stop until `proceed` */
  accept(count: number, into: Uint8Array): boolean {
    const { clock, frameBytes } = this.#options;
    if (this.#filled === 0) this.#capturedAt = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
    if (this.#slot && into.buffer === this.#scratch.buffer) this.#slot.set(into.subarray(0, count), this.#filled);
    this.#filled += count;
    return this.#filled < frameBytes || this.proceed();
  }

  /** Finishes a full frame and finds room for the next. @returns whether reading may go on */
  proceed(): boolean {
    const { frameBytes, frames, queue, facts } = this.#options;
    if (this.#filled === frameBytes) {
      const known = facts();
      if (!known) return false;
      this.#finish(known);
    }
    this.#slot ??= queue.slot();
    return this.#slot !== undefined || frames === 'newest';
  }

  /** Gives back what was not filled. */
  close(): void {
    if (this.#slot) this.#options.queue.release(this.#slot);
    this.#slot = undefined;
  }

  #finish({ source, sound }: FrameFacts): void {
    const { queue, onFrame } = this.#options;
    const slot = sound ? this.#slot : undefined;
    this.#filled = 0;
    if (slot) {
      this.#slot = undefined;
      queue.deliver(slot, this.#capturedAt, source);
    } else queue.lose();
    onFrame(source);
  }
}

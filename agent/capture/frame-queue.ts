/**
 * Frames between a decoder and its one reader, in a bounded pool of memory.
 *
 *   decoder --slot(), deliver()--> [ newest: one waits, the newest wins | every: all wait, no slot: decoder waits ] --next()--> reader
 *      ^---------------------------------- disposed frames give their slot back ------------------------------------------'
 */
import type { CaptureTime, Frame, FrameFormat, PictureSize } from '#agent/domain/frame.ts';

export type Slot = Uint8Array<ArrayBuffer>;

/** One is being filled, one waits, four are in work. */
const poolSize = 6;

export interface FrameQueueOptions {
  readonly camera: string;
  readonly format: FrameFormat;
  readonly frames: 'newest' | 'every';
}

type Waiter = (frame: Frame | undefined) => void;

export class FrameQueue {
  readonly #options: FrameQueueOptions;
  readonly #free: Slot[];
  readonly #waiting: BorrowedFrame[] = [];
  #reader: Waiter | undefined;
  #onFree: (() => void) | undefined;
  #onArrival: (() => void) | undefined;
  #ended = false;
  #decoded = 0;
  #dropped = 0;

  constructor(options: FrameQueueOptions) {
    this.#options = options;
    const { width, height } = options.format;
    this.#free = Array.from({ length: poolSize }, () => new Uint8Array(3 * width * height));
  }

  /** Frames that the decoder made, dropped ones too: the next frame's number. */
  get decoded(): number {
    return this.#decoded;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Memory for the next frame. Undefined: the reader holds everything. */
  slot(): Slot | undefined {
    if (this.#free.length === 0 && this.#options.frames === 'newest') this.#dropWaiting();
    return this.#free.pop();
  }

  /** Called once, when a slot is free again. */
  onceFree(listener: (() => void) | undefined): void {
    this.#onFree = listener;
  }

  /** Gives a slot back that holds no frame. */
  release(slot: Slot): void {
    this.#free.push(slot);
    const listener = this.#onFree;
    this.#onFree = undefined;
    listener?.();
  }

  /** @returns the frame's number */
  deliver(slot: Slot, capturedAt: CaptureTime, source: PictureSize): number {
    const { camera, format, frames } = this.#options;
    const number = this.#decoded++;
    const frame = new BorrowedFrame({ camera, number, capturedAt, format, source, bytes: slot }, () =>
      this.release(slot),
    );
    if (this.#ended) frame[Symbol.dispose]();
    else if (this.#reader) this.#reader(frame);
    else {
      if (frames === 'newest') this.#dropWaiting();
      this.#waiting.push(frame);
      this.#onArrival?.();
    }
    return number;
  }

  /** A frame was decoded that nobody will see. */
  lose(): void {
    this.#decoded += 1;
    this.#dropped += 1;
  }

  /** What waits is still delivered. */
  end(): void {
    this.#ended = true;
    this.#reader?.(undefined);
    this.#onArrival?.();
  }

  /** Resolves when a frame can be taken or none will come, or when aborted; takes nothing, so that a newer one may still win. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length > 0 || this.#ended || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#onArrival = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#onArrival = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** One reader at a time. Undefined once ended and empty; rejects with the signal's reason. */
  async next(signal: AbortSignal): Promise<Frame | undefined> {
    signal.throwIfAborted();
    const waiting = this.#waiting.shift();
    if (waiting ?? this.#ended) return waiting;
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#reader = undefined;
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#reader = (frame) => {
        this.#reader = undefined;
        signal.removeEventListener('abort', onAbort);
        resolve(frame);
      };
    });
  }

  #dropWaiting(): void {
    const frame = this.#waiting.shift();
    if (!frame) return;
    this.#dropped += 1;
    frame[Symbol.dispose]();
  }
}

type FrameFields = Omit<Frame, typeof Symbol.dispose>;

class BorrowedFrame implements Frame {
  readonly camera: string;
  readonly number: number;
  readonly capturedAt: CaptureTime;
  readonly format: FrameFormat;
  readonly source: PictureSize;
  readonly bytes: Slot;
  #release: (() => void) | undefined;

  constructor(fields: FrameFields, release: () => void) {
    this.camera = fields.camera;
    this.number = fields.number;
    this.capturedAt = fields.capturedAt;
    this.format = fields.format;
    this.source = fields.source;
    this.bytes = fields.bytes;
    this.#release = release;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/**
 * The detector of a child that was started before its configuration is known: it comes as far as what is known allows.
 *
 *   start: the runtime loads --prepare(model)--> the model opens --open(model)--> RemoteDetector
 */
import { isDeepStrictEqual } from 'node:util';
import type { DetectionThreadData } from './detection-thread.ts';
import { isProcessorSuited } from './processor.ts';
import { RemoteDetector, WaitingThread } from './remote-detector.ts';

interface Prepared {
  readonly data: DetectionThreadData;
  readonly opening: Promise<RemoteDetector>;
}

export class EarlyDetector {
  /** None where the runtime would die of this processor; whoever opens the model is told so. */
  #thread: WaitingThread | undefined = isProcessorSuited() ? new WaitingThread() : undefined;
  #prepared: Prepared | undefined;

  prepare(data: DetectionThreadData): void {
    if (!this.#thread) return;
    const opening = RemoteDetector.open(data, this.#thread);
    this.#thread = undefined;
    // What it throws is thrown where it is used.
    opening.catch(() => undefined);
    this.#prepared = { data, opening };
  }

  /** The one that was prepared, if it is the one that is wanted. @throws OutpostError why the model cannot be used */
  async open(data: DetectionThreadData): Promise<RemoteDetector> {
    const prepared = this.#prepared;
    const thread = this.#thread;
    this.#prepared = undefined;
    this.#thread = undefined;
    if (!prepared) return await RemoteDetector.open(data, thread);
    if (isDeepStrictEqual(prepared.data, data)) return await prepared.opening;
    // its end, whatever came of it, is nothing to wait for
    void prepared.opening.then(
      async (other) => await other[Symbol.asyncDispose](),
      () => undefined,
    );
    return await RemoteDetector.open(data);
  }
}

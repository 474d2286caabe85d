/**
 * A writer thread that is started before anybody knows which store it will hold: it loads while the configuration is read.
 *
 *   WaitingWriter --open(options)--> the thread opens the store
 */
import type { Worker } from 'node:worker_threads';
import { startThread } from '#agent/core/program.ts';
import type { Bell, ToWriter, WriterOptions } from './protocol.ts';

/** What passes through is short-lived: a large nursery would only be memory that is touched. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 };

export class WaitingWriter implements Disposable {
  readonly worker: Worker;
  readonly #bell: Bell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #isTaken = false;

  constructor() {
    this.worker = startThread('outbox', { bell: this.#bell }, { resourceLimits });
    // One that breaks before it is asked for anything tells nobody: whoever opens it hears of its end.
    this.worker.on('error', () => undefined);
  }

  open(options: WriterOptions): void {
    this.#isTaken = true;
    this.tell(options);
  }

  tell(message: WriterOptions | ToWriter, transfers: readonly ArrayBuffer[] = []): void {
    this.worker.postMessage(message, transfers);
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
  }

  /** Ends it if nobody has opened a store with it. */
  [Symbol.dispose](): void {
    if (!this.#isTaken) void this.worker.terminate();
  }
}

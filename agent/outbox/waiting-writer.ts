/**
 * A writer thread that is started before anybody knows which store it will hold: it loads while the configuration is read.
 *
 *   WaitingWriter --open(options)--> the thread opens the store --> Opened
 */
import type { Worker } from 'node:worker_threads';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { startThread } from '#agent/core/program.ts';
import { newBell, ring } from './bell.ts';
import { Mailbox, newMailboxMemory } from './mailbox.ts';
import {
  failureToError,
  type FromWriter,
  type Job,
  type Opened,
  type Told,
  type ToWriter,
  type WriterOptions,
} from './protocol.ts';

/** What passes through is short-lived: a large nursery would only be memory that is touched. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 };

export class WaitingWriter implements Disposable {
  readonly worker: Worker;
  readonly mailbox: Mailbox;
  readonly #bell = newBell();
  /** Messages and Jobs in the mailbox. */
  #told = 0;
  readonly #opened: Promise<Opened>;
  #isTaken = false;

  constructor() {
    const mailbox = newMailboxMemory();
    this.mailbox = new Mailbox(mailbox);
    this.worker = startThread('outbox', { bell: this.#bell, mailbox }, { resourceLimits });
    this.#opened = firstWord(this.worker);
    // One that breaks before it is asked for anything tells nobody: whoever opens it is told.
    this.#opened.catch(() => undefined);
  }

  /** @throws OutpostError when the store cannot be opened, or the thread ended before it was asked, or since */
  async open(options: WriterOptions): Promise<Opened> {
    this.#isTaken = true;
    this.tell({ kind: 'open', options });
    return await this.#opened;
  }

  /** @returns its turn */
  tell(message: ToWriter, transfers: readonly ArrayBuffer[] = []): number {
    this.worker.postMessage({ ...message, turn: this.#told } satisfies Told, transfers);
    return this.#ring();
  }

  /** @returns its turn; undefined when it does not fit into the mailbox, or that is in use: it is to be told */
  mail(job: Job): number | undefined {
    return this.mailbox.put(job, this.#told) ? this.#ring() : undefined;
  }

  /** @returns the turn that was rung for */
  #ring(): number {
    const turn = this.#told;
    this.#told = (turn + 1) | 0;
    ring(this.#bell);
    return turn;
  }

  /** Ends it if nobody has opened a store with it. */
  [Symbol.dispose](): void {
    if (!this.#isTaken) void this.worker.terminate();
  }
}

async function firstWord(worker: Worker): Promise<Opened> {
  return await new Promise((resolve, reject) => {
    const onMessage = (message: FromWriter): void => {
      worker.off('error', onError).off('exit', onExit);
      if (message === 'look') return;
      if (message.kind === 'opened') resolve(message.opened);
      else if (message.kind === 'failed') reject(failureToError(message.failure));
    };
    const onError = (error: unknown): void => reject(new OutpostError('internal', messageOf(error), { cause: error }));
    const onExit = (): void => reject(new OutpostError('outbox-unavailable', 'The writer ended before it had begun.'));
    worker.once('message', onMessage).once('error', onError).once('exit', onExit);
  });
}

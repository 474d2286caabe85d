/**
 * The main thread's end of a salvage beside the store that serves.
 *
 *   put aside -> a thread takes over what can be read -> complete -> the store is opened again, and joined with it
 *                       '-- failed: again, with backoff --'
 */
import type { Worker } from 'node:worker_threads';
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { startThread } from '#agent/core/program.ts';
import type { Random } from '#agent/core/random.ts';
import { failureToError, type FromSalvage, type Salvaging } from './protocol.ts';
import type { SalvageThreadData } from './salvage-thread.ts';

export interface SalvagerOptions {
  /** Folder of the store. */
  readonly path: string;
  /** Opens the store again, which takes up what is complete. */
  readonly reopen: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly health: Health | undefined;
  readonly log: Log;
}

/** For what is written meanwhile. */
const keepFreeBytes = 16 * 1024 * 1024;
const retry = { minMs: 1_000, maxMs: 600_000 };
const mebibyte = 1024 * 1024;

export class Salvager {
  readonly #options: SalvagerOptions;
  readonly #ending = new AbortController();
  readonly #backoff: Backoff;
  #thread: Worker | undefined;
  #working: Promise<void> | undefined;

  constructor(options: SalvagerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(retry, options.random);
  }

  /** The store was opened: this is put aside, and is not taken over yet. */
  opened(salvaging: Salvaging | undefined): void {
    if (!salvaging) {
      this.#options.health?.clear('outbox-salvaging', 'agent');
      this.#backoff.reset();
    } else if (!this.#ending.signal.aborted) this.#working ??= this.#work(salvaging);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#thread?.terminate();
    await this.#working;
  }

  async #work(salvaging: Salvaging): Promise<void> {
    const { log, clock, reopen } = this.#options;
    const { signal } = this.#ending;
    const { stores, bytes, failure } = salvaging;
    log.error('A damaged store is read while another one serves.', { stores, bytes });
    if (failure) await this.#waitAfter(failureToError(failure));
    this.#tell(`${stores.at(-1)}: ${inMebibytes(bytes)} are read.`);
    const began = clock.monoMs();
    while (!signal.aborted) {
      try {
        await this.#salvage(salvaging);
        log.info('A damaged store was read.', { stores, ms: Math.round(clock.monoMs() - began) });
        break;
      } catch (thrown) {
        if (!signal.aborted) await this.#waitAfter(thrown);
      }
    }
    // what is opened next may have more
    this.#working = undefined;
    if (!signal.aborted) reopen();
  }

  async #waitAfter(thrown: unknown): Promise<void> {
    const { log, clock } = this.#options;
    const waitMs = Math.round(this.#backoff.nextMs());
    log.error('A damaged store cannot be taken over now; it is tried again.', { reason: messageOf(thrown), waitMs });
    this.#tell(`It failed, and is tried again: ${messageOf(thrown)}`);
    await clock.sleep(waitMs, this.#ending.signal).catch(() => undefined);
  }

  #tell(text: string): void {
    this.#options.health?.set('outbox-salvaging', 'agent', text);
  }

  /** @throws OutpostError when it failed, or the thread ended before it was done */
  async #salvage({ stores, bytes: of }: Salvaging): Promise<void> {
    const { path } = this.#options;
    const data: SalvageThreadData = { path, stores, keepFreeBytes };
    const thread = startThread('salvage', { ...data });
    this.#thread = thread;
    await new Promise<void>((resolve, reject) => {
      thread.on('message', (message: FromSalvage) => {
        if (message.kind === 'complete') resolve();
        else if (message.kind === 'failed') reject(failureToError(message.failure));
        else this.#tell(`${inMebibytes(message.bytes)} of at most ${inMebibytes(of)} in ${path} are taken over.`);
      });
      thread.once('error', (error) => reject(new OutpostError('internal', messageOf(error), { cause: error })));
      thread.once('exit', () =>
        reject(new OutpostError('outbox-unavailable', 'The salvage ended before it was done.')),
      );
    });
  }
}

const inMebibytes = (bytes: number): string => `${Math.ceil(bytes / mebibyte)} MiB`;

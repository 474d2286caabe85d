/**
 * The waiting room before the outbox: bounded memory for the time in which the disk refuses.
 *
 *   rooms --offer--> [ waiting ] --append, durable--> outbox
 *                     full: the oldest that is no alarm makes room, then nothing more is taken; both are counted
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import type { Event } from '#agent/domain/event.ts';

export interface IntakeOptions {
  /** Resolves when all are durable; rejects when none is. */
  readonly append: (events: readonly Event[]) => Promise<unknown>;
  readonly capacity: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly health: Health;
  readonly log: Log;
}

const mostAtOnce = 256;
const lastTries = 3;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #waiting: Event[] = [];
  #wake: (() => void) | undefined;
  #lost = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Events that found no room while the disk refused. */
  get lost(): number {
    return this.#lost;
  }

  offer(events: readonly Event[]): void {
    for (const event of events) {
      if (this.#waiting.length >= this.#options.capacity && !this.#makeRoom()) {
        this.#lost += 1;
        continue;
      }
      this.#waiting.push(event);
    }
    this.#wake?.();
  }

  /** A service: returns when aborted, after a last try to write what waits. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000 }, random);
    while (!signal.aborted) {
      if (this.#waiting.length === 0) await this.#arrival(signal);
      else if (await this.#write()) backoff.reset();
      else await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
    }
    for (let tries = 0; this.#waiting.length > 0 && tries < lastTries;) if (!(await this.#write())) tries += 1;
  }

  async #write(): Promise<boolean> {
    const { append, health, log } = this.#options;
    const batch = this.#waiting.slice(0, mostAtOnce);
    try {
      await append(batch);
      for (const event of batch) {
        const at = this.#waiting.indexOf(event);
        if (at >= 0) this.#waiting.splice(at, 1);
      }
      health.clear('outbox-down', 'agent');
      return true;
    } catch (thrown) {
      const error = toOutpostError(thrown);
      log.error('Events cannot be written; they wait in memory.', {
        error,
        waiting: this.#waiting.length,
        lost: this.#lost,
      });
      health.set('outbox-down', 'agent', error.message);
      return false;
    }
  }

  #makeRoom(): boolean {
    const oldest = this.#waiting.findIndex(({ lane }) => lane !== 'alarm' && lane !== 'submission');
    if (oldest < 0) return false;
    this.#waiting.splice(oldest, 1);
    this.#lost += 1;
    return true;
  }

  async #arrival(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

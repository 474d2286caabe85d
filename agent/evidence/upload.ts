/**
 * The service that sends pictures upstream, one at a time, until each is sent or declared as given up.
 *
 *   due --> send: PUT to a server, or parts for lane media --> told to the outbox --> settled
 *      \--> no more there, damaged, or refused for ever ----> `outpost.upload`, given-up --> settled
 *
 * Told comes before settled: a crash between the two sends a picture once more, under the same name, and forgets none.
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { type OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import type { Event, EventData } from '#agent/domain/event.ts';
import { mediaEvents } from './chunks.ts';
import type { Due, DueFolder } from './due.ts';
import { httpPut, type HttpPutOptions } from './http-put.ts';

/** A piece that is there. */
export interface Piece extends Due {
  readonly content: Buffer;
  readonly sha256: string;
}

/** @returns what tells of it, to be appended @throws OutpostError: it is tried again */
export type Send = (piece: Piece, signal: AbortSignal) => Promise<readonly Event[]>;

export interface UploadsOptions {
  readonly due: DueFolder;
  readonly send: Send;
  /** Durable when it resolves. */
  readonly append: (events: readonly Event[]) => Promise<unknown>;
  readonly health: Health;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Without any success for so long, while some are due, health says so. */
  readonly failingMs?: number;
}

export interface UploadsStatus {
  /** To be sent or declared. */
  readonly due: number;
  readonly sent: number;
  readonly sentBytes: number;
  readonly givenUp: number;
  readonly failures: number;
  readonly lastError:
    | { readonly code: string; readonly message: string; readonly hint: string; readonly at: string }
    | undefined;
}

const backoffMs = { minMs: 1_000, maxMs: 300_000 };
const defaultFailingMs = 120_000;
/** Refused so often, while the server takes others: it never will. */
const mostRefusals = 5;
/** Answers that speak of what is sent (RFC 9110 section 15.5), not of who sends it or of the server. */
const aboutThePiece: ReadonlySet<unknown> = new Set([400, 413, 415, 422]);

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #refusals = new Map<number, { times: number; readonly sentBefore: number }>();
  #look = new AbortController();
  #failingSinceMonoMs: number | undefined;
  #sent = 0;
  #sentBytes = 0;
  #givenUp = 0;
  #failures = 0;
  #lastError: UploadsStatus['lastError'];

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  get status(): UploadsStatus {
    return {
      due: this.#options.due.count,
      sent: this.#sent,
      sentBytes: this.#sentBytes,
      givenUp: this.#givenUp,
      failures: this.#failures,
      lastError: this.#lastError,
    };
  }

  /** A service: returns when aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { due, clock, random } = this.#options;
    const backoff = new Backoff(backoffMs, random);
    const end = due.onDue(() => this.#look.abort());
    let after = 0;
    try {
      while (!signal.aborted) {
        this.#look = new AbortController();
        try {
          const next = await due.next(after);
          after = next?.order ?? 0;
          if (next) {
            if (await this.#one(next, signal)) backoff.reset();
          } else await clock.sleep(lookMs, AbortSignal.any([signal, this.#look.signal])).catch(() => undefined);
        } catch (thrown) {
          if (signal.aborted) return;
          this.#failed(toOutpostError(thrown), after);
          await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
        }
      }
    } finally {
      end();
    }
  }

  /** @returns true when it was sent */
  async #one(next: Due, signal: AbortSignal): Promise<boolean> {
    const { send, append, due } = this.#options;
    if (!isPiece(next)) {
      await this.#giveUp(next, typeof next.content === 'string' ? next.content : 'damaged');
      return false;
    }
    if (this.#isHopeless(next)) {
      await this.#giveUp(next, 'refused');
      return false;
    }
    const told = await send(next, signal);
    if (told.length === 0) {
      await this.#giveUp(next, 'refused');
      return false;
    }
    await append(told);
    await due.settle(next.order);
    this.#refusals.delete(next.order);
    this.#sent += 1;
    this.#sentBytes += next.size;
    this.#failingSinceMonoMs = undefined;
    this.#options.health.clear('upload-failing', 'agent');
    return true;
  }

  #isHopeless({ order }: Due): boolean {
    const refused = this.#refusals.get(order);
    return refused !== undefined && refused.times >= mostRefusals && this.#sent > refused.sentBefore;
  }

  async #giveUp({ order, id, mediaType, subject, sha256, size }: Due, reason: UploadReason): Promise<void> {
    const { append, due, clock, log } = this.#options;
    const data = {
      id,
      mediaType,
      ...(sha256 === undefined ? {} : { sha256 }),
      size,
      outcome: 'given-up',
      reason,
    } as const;
    // beside the drop ledger's own: what is declared must outlive what it declares
    await append([uploadEvent(data, subject, 'audit', clock)]);
    await due.settle(order);
    this.#refusals.delete(order);
    this.#givenUp += 1;
    log.warn('A picture is not uploaded, and is declared.', { id, reason });
  }

  #failed(error: OutpostError, order: number): void {
    const { health, clock, log, failingMs = defaultFailingMs } = this.#options;
    const { code, message, hint } = error;
    this.#failures += 1;
    if (this.#lastError?.code !== code || this.#failingSinceMonoMs === undefined) {
      log.warn('A picture could not be uploaded; it is tried again.', { error });
    }
    this.#lastError = { code, message, hint, at: new Date(clock.wallMs()).toISOString() };
    this.#failingSinceMonoMs ??= clock.monoMs();
    if (clock.monoMs() - this.#failingSinceMonoMs >= failingMs) {
      health.set('upload-failing', 'agent', `${message} [${code}] ${hint}`);
    }
    if (!aboutThePiece.has(error.context['status'])) return;
    const refused = this.#refusals.get(order) ?? { times: 0, sentBefore: this.#sent };
    refused.times += 1;
    this.#refusals.set(order, refused);
  }
}

/** Nobody rings for long: what a full store kept from being declared is tried again. */
const lookMs = 60_000;

type UploadReason = NonNullable<EventData<'upload'>['reason']>;

const isPiece = (due: Due): due is Piece => Buffer.isBuffer(due.content) && due.sha256 !== undefined;

const uploadEvent = (data: EventData<'upload'>, subject: string, lane: 'audit' | 'media', clock: Clock): Event => ({
  kind: 'upload',
  lane,
  subject,
  wallMs: clock.wallMs(),
  monoMs: clock.monoMs(),
  data,
});

/** In parts, as events of lane media: those are the sending. */
export const byLane =
  (clock: Clock): Send =>
  async ({ id, mediaType, content: bytes, subject }) =>
    await Promise.resolve(
      mediaEvents({ id, mediaType, bytes, subject, wallMs: clock.wallMs(), monoMs: clock.monoMs() }),
    );

/** By PUT to a server; the event says where it lies, and what its bytes must be. */
export const byPut =
  (device: string, options: HttpPutOptions): Send =>
  async ({ id, mediaType, content: bytes, sha256, size, subject }, signal) => {
    const extension = mediaType === 'image/jpeg' ? 'jpg' : (mediaType.split('/')[1] ?? 'bin');
    const path = `${device}/${id}-${sha256.slice(0, 12)}.${extension}`;
    const url = await httpPut({ path, mediaType, bytes, sha256 }, options, signal);
    return [uploadEvent({ id, mediaType, sha256, size, outcome: 'stored', url }, subject, 'media', options.clock)];
  };

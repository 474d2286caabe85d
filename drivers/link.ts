/**
 * A driver's line to its device on one connection: requests with their answers, what the device tells on its own, and
 * what went wrong, counted.
 *
 *   request --turn--> encode --> write .... codec --matches--> answered
 *                                             \--else--> messages (bounded, the oldest is dropped)
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import { Mailbox } from '#agent/core/mailbox.ts';
import { SlidingWindow } from '#agent/core/sliding-window.ts';
import type { Bus, BusMember } from './bus.ts';
import type { Codec, Decoded, RejectionReason } from './codec.ts';
import type { LineNeeds, Outcome } from './driver.ts';
import { EchoFilter } from './echo.ts';
import type { Epoch } from './transport.ts';

/** How a request ended; `written`: whether any byte of it may have reached the line. */
export type Answer<M> =
  | { readonly is: 'answered'; readonly message: M; readonly roundTripMs: number }
  | { readonly is: 'timeout'; readonly written: boolean }
  | { readonly is: 'lost'; readonly written: boolean; readonly error: OutpostError };

export interface Expectation<M> {
  /** Whether this is the answer to this request: check address, function and number, whatever the protocol has. */
  matches(message: M): boolean;
  /** Default: the manifest's `answerMs`. */
  readonly answerMs?: number;
}

/** Counted since the link was opened. */
export interface LinkFigures {
  readonly messages: number;
  readonly checksumErrors: number;
  /** Times that bytes were skipped to find a frame again. */
  readonly resyncs: number;
  readonly rejectedBytes: number;
  readonly requests: number;
  readonly timeouts: number;
  /** Messages that nobody took in time. */
  readonly dropped: number;
  readonly echoedBytes: number;
  readonly waiting: number;
  /** Since the last valid frame; undefined before the first. */
  readonly lastFrameAgeMs: number | undefined;
  readonly roundTripMsP50: number | undefined;
  readonly roundTripMsP99: number | undefined;
}

export interface LinkOptions<In, Out> {
  readonly bus: Bus;
  readonly codec: Codec<In, Out>;
  readonly line: LineNeeds;
  readonly clock: Clock;
  /** The line gives back what is written. */
  readonly echo?: boolean;
  /** Every message, as it comes. */
  readonly onMessage?: (message: In) => void;
}

interface Pending<M> {
  readonly matches: (message: M) => boolean;
  readonly endsAtMs: number;
  readonly settle: (ended: Ended<M>) => void;
}

type Ended<M> =
  | { readonly is: 'answered'; readonly message: M }
  | { readonly is: 'timeout' }
  | { readonly is: 'closed' };

const mostUnread = 256;
const roundTripWindowMs = 60_000;

export class Link<In, Out> implements Disposable {
  readonly #options: LinkOptions<In, Out>;
  readonly #membership: Disposable;
  readonly #member: BusMember;
  readonly #unread: Mailbox<In>;
  readonly #roundTrips = new SlidingWindow(roundTripWindowMs);
  readonly #echo: EchoFilter | undefined;
  readonly #ending = new AbortController();
  readonly #counts = { messages: 0, checksum: 0, resyncs: 0, rejected: 0, requests: 0, timeouts: 0 };
  #pending: Pending<In> | undefined;
  #wakesAtMs = Infinity;
  #sleeping = new AbortController();
  #lastByteMs = 0;
  #lastFrameMs: number | undefined;
  #bytesWritten = 0;
  #hurries = 0;
  #error: OutpostError | undefined;

  constructor(options: LinkOptions<In, Out>) {
    this.#options = options;
    this.#unread = new Mailbox<In>({ capacity: mostUnread, overflow: 'drop-oldest' });
    this.#echo = options.echo ? new EchoFilter() : undefined;
    this.#member = { onBytes: (bytes) => this.#onBytes(bytes), onClosed: (error) => this.#onClosed(error) };
    this.#membership = options.bus.join(this.#member);
  }

  get epoch(): Epoch {
    return this.#options.bus.transport.epoch;
  }

  get isOpen(): boolean {
    return this.#error === undefined && !this.#ending.signal.aborted && this.#options.bus.transport.isOpen;
  }

  /** Bytes that were given to the line: whether a command may have been heard. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Aborted when the connection is over. */
  get closed(): AbortSignal {
    return this.#ending.signal;
  }

  /** Why it is over, when it is. */
  get error(): OutpostError | undefined {
    return this.#error;
  }

  /** Until it is disposed of, the exchanges of this device go before those that wait, on a shared line too. */
  hurry(): Disposable {
    this.#hurries += 1;
    return { [Symbol.dispose]: () => void (this.#hurries -= 1) };
  }

  /**
   * Writes one message and waits for its answer, alone on the line.
   * @throws the signal's reason when it is aborted; everything else is an Answer
   */
  async request(message: Out, expected: Expectation<In>, signal: AbortSignal): Promise<Answer<In>> {
    const { line, bus, clock } = this.#options;
    const before = this.#bytesWritten;
    const lost = (): Answer<In> => ({ is: 'lost', written: this.#bytesWritten > before, error: this.#lostError() });
    if (!this.isOpen) return lost();
    using _turn = await bus.take(this.#member, line, signal, this.#hurries > 0);
    if (!this.isOpen) return lost();
    this.#counts.requests += 1;
    // what is half here belongs to an exchange that is over
    this.#took(this.#options.codec.quiet());
    const startedAt = clock.monoMs();
    const answer = this.#expect(expected, startedAt, signal);
    // it is awaited below; until then an abort is nobody's
    answer.catch(() => undefined);
    try {
      await this.#write(message, signal);
    } catch (thrown) {
      this.#pending?.settle({ is: 'closed' });
      signal.throwIfAborted();
      return { is: 'lost', written: true, error: toOutpostError(thrown) };
    }
    const ended = await answer;
    if (ended.is === 'closed') return lost();
    if (ended.is !== 'answered') {
      this.#counts.timeouts += 1;
      bus.leaveAlone(line.settleMs);
      return { is: 'timeout', written: true };
    }
    const roundTripMs = clock.monoMs() - startedAt;
    this.#roundTrips.add(startedAt + roundTripMs, roundTripMs);
    return { is: 'answered', message: ended.message, roundTripMs };
  }

  /**
   * Waits for a message that the device says on its own; nothing is written meanwhile.
   * @throws the signal's reason
   */
  async hear(expected: Expectation<In>, signal: AbortSignal): Promise<Answer<In>> {
    const { line, bus, clock } = this.#options;
    const lost = (): Answer<In> => ({ is: 'lost', written: false, error: this.#lostError() });
    if (!this.isOpen) return lost();
    using _turn = await bus.take(this.#member, line, signal, this.#hurries > 0);
    if (!this.isOpen) return lost();
    const startedAt = clock.monoMs();
    const ended = await this.#expect(expected, startedAt, signal);
    if (ended.is === 'closed') return lost();
    if (ended.is !== 'answered') return { is: 'timeout', written: false };
    return { is: 'answered', message: ended.message, roundTripMs: clock.monoMs() - startedAt };
  }

  /**
   * Writes one message that has no answer.
   * @throws the signal's reason; OutpostError `port-lost`, `port-stuck`
   */
  async send(message: Out, signal: AbortSignal): Promise<void> {
    const { line, bus } = this.#options;
    if (!this.isOpen) throw this.#lostError();
    using _turn = await bus.take(this.#member, line, signal, this.#hurries > 0);
    await this.#write(message, signal);
  }

  /** What came and was no answer to a request; ends with the connection. One reader at a time. @throws as the link ends */
  async *messages(signal: AbortSignal): AsyncGenerator<In, void, undefined> {
    for (;;) {
      const next = await this.#unread.next(signal);
      if (!next.done) yield next.value;
      else if (this.#error) throw this.#error;
      else return;
    }
  }

  /** What came so far and was no answer, taken at once: for a driver that polls. */
  *unread(): Generator<In, void, undefined> {
    while (this.#unread.size > 0) {
      const item = this.#unread.take();
      if (item === undefined) return;
      yield item;
    }
  }

  figures(): LinkFigures {
    const now = this.#options.clock.monoMs();
    const quantiles = this.#roundTrips.quantiles(now, [0.5, 0.99]);
    const { messages, checksum, resyncs, rejected, requests, timeouts } = this.#counts;
    return {
      messages,
      checksumErrors: checksum,
      resyncs,
      rejectedBytes: rejected,
      requests,
      timeouts,
      dropped: this.#unread.dropped,
      echoedBytes: this.#echo?.bytes ?? 0,
      waiting: this.#options.bus.waiting,
      lastFrameAgeMs: this.#lastFrameMs === undefined ? undefined : now - this.#lastFrameMs,
      roundTripMsP50: quantiles?.[0],
      roundTripMsP99: quantiles?.[1],
    };
  }

  [Symbol.dispose](): void {
    this.#membership[Symbol.dispose]();
    this.#end();
  }

  #lostError(): OutpostError {
    return this.#error ?? new OutpostError('port-lost', `${this.#options.bus.transport.name} is closed.`);
  }

  async #write(message: Out, signal: AbortSignal): Promise<void> {
    const bytes = this.#options.codec.encode(message);
    this.#echo?.expect(bytes, this.#options.clock.monoMs());
    this.#bytesWritten += bytes.length;
    await this.#options.bus.transport.write(bytes, signal);
  }

  async #expect(expected: Expectation<In>, startedAt: number, signal: AbortSignal): Promise<Ended<In>> {
    const { line, bus } = this.#options;
    const endsAtMs = startedAt + (expected.answerMs ?? line.answerMs);
    return await new Promise<Ended<In>>((resolve, reject) => {
      const abort = (): void => {
        this.#pending = undefined;
        bus.leaveAlone(line.settleMs);
        reject(signal.reason as Error);
      };
      const listening = onAbort(signal, abort);
      const settle = (ended: Ended<In>): void => {
        this.#pending = undefined;
        listening[Symbol.dispose]();
        resolve(ended);
      };
      this.#pending = { matches: (message) => expected.matches(message), endsAtMs, settle };
      if (endsAtMs < this.#wakesAtMs) void this.#watch();
    });
  }

  /** One sleeper for all requests: a timer a request would cost more than the request. */
  async #watch(): Promise<void> {
    const { clock } = this.#options;
    this.#sleeping.abort();
    const sleeping = (this.#sleeping = new AbortController());
    for (;;) {
      const pending = this.#pending;
      if (!pending) break;
      this.#wakesAtMs = pending.endsAtMs;
      const isAborted = await clock.sleep(Math.max(0, pending.endsAtMs - clock.monoMs()), sleeping.signal).then(
        () => false,
        () => true,
      );
      if (isAborted) return;
      if (this.#pending && clock.monoMs() >= this.#pending.endsAtMs) this.#pending.settle({ is: 'timeout' });
    }
    this.#wakesAtMs = Infinity;
  }

  #onBytes(bytes: Uint8Array): void {
    const { clock, codec, line } = this.#options;
    const now = clock.monoMs();
    if (line.interFrameMs !== undefined && codec.pending > 0 && now - this.#lastByteMs > line.interFrameMs)
      this.#took(codec.quiet());
    this.#lastByteMs = now;
    const heard = this.#echo ? this.#echo.filter(bytes, now) : bytes;
    if (heard.length > 0) this.#took(codec.push(heard));
  }

  #took({ messages, rejected }: Decoded<In>): void {
    for (const { reason, bytes } of rejected) this.#count(reason, bytes);
    for (const message of messages) {
      this.#counts.messages += 1;
      this.#lastFrameMs = this.#lastByteMs;
      this.#options.onMessage?.(message);
      const pending = this.#pending;
      if (pending?.matches(message)) pending.settle({ is: 'answered', message });
      else this.#unread.offer(message);
    }
  }

  #count(reason: RejectionReason, bytes: number): void {
    this.#counts.rejected += bytes;
    this.#counts.resyncs += 1;
    if (reason === 'checksum') this.#counts.checksum += 1;
  }

  #onClosed(error: OutpostError | undefined): void {
    this.#error = error;
    this.#end();
  }

  #end(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    this.#unread.close();
    this.#sleeping.abort();
    this.#pending?.settle({ is: 'closed' });
  }
}

/**
 * What an exchange means for the command that it was.
 * @param judge says `true` when the message is the device's consent, its reason when it refuses
 */
export function outcomeOf<M>(answer: Answer<M>, judge: (message: M) => true | string | Outcome): Outcome {
  if (answer.is !== 'answered') {
    const reason = answer.is === 'timeout' ? 'The device did not answer.' : answer.error.message;
    return { status: answer.written ? 'unknown' : 'timeout', reason };
  }
  const judged = judge(answer.message);
  if (judged === true) return { status: 'acknowledged' };
  return typeof judged === 'string' ? { status: 'rejected', reason: judged } : judged;
}

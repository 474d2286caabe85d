/**
 * The main thread's end of the writer thread: Jobs go in order, answers come in order; started again for ever when it
 * breaks. One answer is handled in each turn of the event loop.
 *
 *   closed -> opening -> open -> (broken) -> opening … with backoff
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import type { Worker } from 'node:worker_threads';
import type { ConfirmedLog } from './log-file.ts';
import {
  type Answer,
  type FromWriter,
  type InTurn,
  isCrowded,
  type Job,
  type JobMemory,
  noMemory,
  type Opened,
  type WriterOptions,
} from './protocol.ts';
import { WaitingWriter } from './waiting-writer.ts';

export interface WriterEvents {
  opened(opened: Opened): void;
  /** It cannot be opened now; what waits is refused with this. */
  down(error: OutpostError): void;
}

export interface WriterContext {
  readonly options: () => Omit<WriterOptions, 'suspect' | 'confirmed' | 'isReopening'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: WriterEvents;
  /** One that was started before. */
  readonly waiting: WaitingWriter | undefined;
}

const closeLimitMs = 5_000;
/** How long an answer is waited for awake, where answers come as soon as that. */
const awakeMs = 0.5;
/** The same while many wait for it, and nobody else needs the processor. */
const longAwakeMs = 2;
/** As many as there are Jobs in flight. */
const mostSpare = 3;
interface Answered {
  readonly answer: Answer;
  readonly memory: JobMemory;
}

interface InFlight {
  readonly turn: number;
  readonly askedMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: OutpostError) => void;
}

export class Writer {
  readonly #context: WriterContext;
  readonly #ending = new AbortController();
  #waiting: WaitingWriter | undefined;
  #writer: WaitingWriter | undefined;
  /** One that has not said yet whether it could open the store, or is closing it. */
  #opening: WaitingWriter | undefined;
  #inFlight: InFlight[] = [];
  readonly #spare: JobMemory[] = [];
  readonly #answers: Answered[] = [];
  #isTurnTaken = false;
  /** To be opened again when no Job is in flight. */
  #isLeaving = false;
  #suspect = false;
  #wasOpen = false;
  #confirmed: ConfirmedLog | undefined;
  #openingSinceMs: number | undefined;
  #heardMs = 0;
  /** From a Job to its Answer, moving average. */
  #answerMs = 0;
  #isAwake = false;
  #awakeUntilMs = 0;

  constructor(context: WriterContext) {
    this.#context = context;
    this.#waiting = context.waiting;
  }

  get isOpen(): boolean {
    return this.#writer !== undefined && !this.#isLeaving && !this.#ending.signal.aborted;
  }

  /** How long the oldest Job has waited without a word from the thread; 0 when none waits. */
  get silentMs(): number {
    const oldest = this.#inFlight[0];
    return oldest ? this.#context.clock.monoMs() - Math.max(oldest.askedMs, this.#heardMs) : 0;
  }

  /** How long the store is being opened; 0 when it is not. */
  get openingMs(): number {
    return this.#openingSinceMs === undefined ? 0 : this.#context.clock.monoMs() - this.#openingSinceMs;
  }

  get isIdle(): boolean {
    return this.#inFlight.length === 0;
  }

  /** @throws OutpostError when the store cannot be opened */
  async open(): Promise<void> {
    this.#openingSinceMs = this.#context.clock.monoMs();
    try {
      await this.#open();
    } finally {
      this.#openingSinceMs = undefined;
    }
  }

  async #open(): Promise<void> {
    const options: WriterOptions = {
      ...this.#context.options(),
      suspect: this.#suspect,
      confirmed: this.#confirmed,
      isReopening: this.#wasOpen,
    };
    const writer = this.#waiting ?? new WaitingWriter();
    this.#waiting = undefined;
    this.#opening = writer;
    try {
      this.#begin(writer, await writer.open(options));
    } finally {
      this.#opening = undefined;
    }
  }

  #begin(writer: WaitingWriter, opened: Opened): void {
    // closed meanwhile: it has been told to end
    if (this.#ending.signal.aborted) throw new OutpostError('outbox-closed');
    const { worker } = writer;
    this.#suspect = false;
    this.#confirmed = undefined;
    this.#wasOpen = true;
    this.#isLeaving = false;
    this.#writer = writer;
    worker.on('message', (message: FromWriter) => {
      if (message === 'look') this.#look();
      else if (message.kind === 'answer') this.#heard(message, worker);
    });
    worker.on('error', (error) => this.#lost(worker, toOutpostError(error)));
    worker.on('exit', () => this.#lost(worker, new OutpostError('outbox-unavailable')));
    this.#context.events.opened(opened);
  }

  /**
   * Turns of the event loop while a quick answer is on its way: a loop that has fallen asleep takes as long to wake as the
   * answer does to come. Others have their turn as ever.
   */
  #stayAwake(forMs: number): void {
    const { clock } = this.#context;
    this.#awakeUntilMs = clock.monoMs() + forMs;
    if (this.#isAwake || this.#answerMs > forMs) return;
    this.#isAwake = true;
    this.#writer?.mailbox.lookOut(true);
    const turn = (): void => {
      this.#look();
      this.#isAwake = this.#inFlight.length > 0 && clock.monoMs() < this.#awakeUntilMs;
      if (this.#isAwake) {
        setImmediate(turn);
        return;
      }
      this.#writer?.mailbox.lookOut(false);
      // what was answered in between
      this.#look();
    };
    setImmediate(turn);
  }

  /** To write the texts of the next Job into; empty when all are on their way. */
  memory(): JobMemory {
    return this.#spare.pop() ?? noMemory;
  }

  /** @throws OutpostError when the thread ended before it answered */
  async run(job: Job): Promise<Answer> {
    const writer = this.#writer;
    if (!writer) throw new OutpostError('outbox-unavailable');
    return await new Promise((resolve, reject) => {
      this.#stayAwake(isCrowded(job) ? longAwakeMs : awakeMs);
      const { bytes } = job.appends;
      const mailed = writer.mail(job);
      const turn = mailed ?? writer.tell({ kind: 'job', job }, bytes.length > 0 ? [bytes.buffer] : []);
      if (mailed !== undefined) this.#keep(bytes);
      this.#inFlight.push({ turn, askedMs: this.#context.clock.monoMs(), resolve, reject });
    });
  }

  #keep(memory: JobMemory): void {
    if (memory.length > 0 && this.#spare.length < mostSpare) this.#spare.push(memory);
  }

  /** Closes the store in good order, and opens it again: what waits goes on then. Nothing to do while it is being opened. */
  reopen(): void {
    if (!this.isOpen) return;
    this.#isLeaving = true;
    this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    const writer = this.#writer;
    if (!this.#isLeaving || this.#inFlight.length > 0 || !writer) return;
    this.#writer = undefined;
    this.#opening = writer;
    const { worker } = writer;
    worker.once('exit', () => void this.#reopen());
    writer.tell({ kind: 'close' });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    const writer = this.#writer ?? this.#opening;
    this.#writer = undefined;
    if (!writer) return;
    const { worker } = writer;
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    writer.tell({ kind: 'close' });
    const limit = new AbortController();
    await Promise.race([exited, this.#context.clock.sleep(closeLimitMs, limit.signal).catch(() => undefined)]);
    limit.abort();
    await worker.terminate();
  }

  /**
   * One in each turn of the loop: while answers come as fast as they are handled, the port gives the turn to nobody else.
   */
  #heard(message: Answered & InTurn, worker: Worker): void {
    if (worker !== this.#writer?.worker) return;
    // what was answered before it may be in the mailbox, and what was answered since
    this.#collect();
    if (message.turn !== this.#nextInTurn) {
      // never seen; numbers told to others than those that they are of would be worse than a new thread
      this.#lost(worker, new OutpostError('internal', 'The writer answered out of turn.'));
      void worker.terminate();
      return;
    }
    this.#answers.push(message);
    this.#collect();
    if (!this.#isTurnTaken) this.#takeTurn();
  }

  /** Of the Job whose Answer is the next to come. */
  get #nextInTurn(): number | undefined {
    return this.#inFlight[this.#answers.length]?.turn;
  }

  #look(): void {
    if (this.#collect() && !this.#isTurnTaken) this.#takeTurn();
  }

  /** What the mailbox has, when it is its turn: answers are handled in the order of their Jobs. */
  #collect(): boolean {
    const turn = this.#nextInTurn;
    const answer = turn === undefined ? undefined : this.#writer?.mailbox.answer(turn);
    if (answer) this.#answers.push({ answer, memory: noMemory });
    return answer !== undefined;
  }

  #takeTurn(): void {
    this.#isTurnTaken = this.#answers.length > 0;
    if (!this.#isTurnTaken) return;
    this.#handle();
    setImmediate(() => this.#takeTurn());
  }

  #handle(): void {
    const message = this.#answers.shift();
    if (!message) return;
    this.#keep(message.memory);
    this.#answer(message.answer);
    this.#leaveWhenIdle();
  }

  #answer(answer: Answer): void {
    this.#heardMs = this.#context.clock.monoMs();
    if (answer.broken) {
      this.#suspect = isCorrupt(answer);
      this.#confirmed = answer.confirmed;
      this.#writer = undefined;
    }
    const answered = this.#inFlight.shift();
    if (answered) this.#answerMs += (Math.min(this.#heardMs - answered.askedMs, 2 * longAwakeMs) - this.#answerMs) / 8;
    answered?.resolve(answer);
    if (!answer.broken) return;
    this.#failAll(new OutpostError('outbox-unavailable'));
    void this.#reopen();
  }

  #lost(worker: Worker, error: OutpostError): void {
    if (worker !== this.#writer?.worker || this.#ending.signal.aborted) return;
    // it had answered these before it ended
    do while (this.#answers.length > 0) this.#handle();
    while (this.#collect());
    if (worker !== this.#writer?.worker) return;
    this.#writer = undefined;
    this.#failAll(error);
    void this.#reopen();
  }

  #failAll(error: OutpostError): void {
    for (const { reject } of this.#inFlight.splice(0)) reject(error);
  }

  async #reopen(): Promise<void> {
    const { clock, random, log, events } = this.#context;
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000 }, random);
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.open();
        log.info('The store is open again.');
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toOutpostError(thrown);
        log.error('The store cannot be opened; it is tried again.', { error });
        events.down(error);
        await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
      }
    }
  }
}

const isCorrupt = ({ refused, acks, peeks }: Answer): boolean =>
  [...refused.map(({ failure }) => failure), acks, peeks].some(
    (part) => part && 'code' in part && part.code === 'outbox-corrupt',
  );

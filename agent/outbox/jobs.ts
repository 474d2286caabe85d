/**
 * Which Jobs there are, and when: what arrives while Jobs are in flight is gathered for the next; there is no timer.
 *
 *   append, ack, read --gathered--> Job --> Writer --> Answer --> whoever asked
 *     one Job, or two that overlap where that pays; alarms have one of their own beside them
 */
import { toOutpostError, type OutpostError } from '#agent/core/errors.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { foldAcks, resolveAcks, resolveAppends, resolvePeeks } from './answers.ts';
import { JobAppends } from './append.ts';
import { type Append, Backlog, type Waiting } from './backlog.ts';
import { Attributes } from './attributes.ts';
import { ExpectedNumbers } from './expected-numbers.ts';
import type { FreshAlarms } from './fresh-alarms.ts';
import {
  type AckRequest,
  type Answer,
  type Moment,
  noMemory,
  type PeekedBatch,
  type PeekRequest,
  type SlotState,
} from './protocol.ts';
import type { Writer } from './writer.ts';

export interface JobsContext {
  readonly writer: Writer;
  readonly fresh: FreshAlarms;
  /** Of the store that is open now. */
  readonly origin: () => Origin;
  /** As the last Answer told. */
  readonly slots: () => readonly SlotState[];
  readonly now: () => Moment;
  /** Before those who asked are told. */
  readonly onAnswer: (answer: Answer) => void;
  readonly onAppended: (lanes: ReadonlySet<Lane>) => void;
}

/** Events in one Job: the transaction stays short, and so does the copying to the thread. */
const mostEventsAJob = 1_024;
/** So many that wait are worth a second Job in flight: it is made and copied while the writer works on the first. */
const worthASecondJob = 64;
/**
 * Milliseconds that the main thread is at work for each event of a Job. Two Jobs that overlap hide that work and cost a
 * commit more: where commits take longer, one large Job carries more.
 */
const workMsAnEvent = 0.008;

type Acks = readonly Waiting<AckRequest, void>[];
type Peeks = readonly Waiting<PeekRequest, readonly PeekedBatch[]>[];

export class Jobs {
  readonly #context: JobsContext;
  readonly #backlog = new Backlog();
  readonly #numbers = new ExpectedNumbers();
  readonly #attributes = new Attributes();
  #acks: Waiting<AckRequest, void>[] = [];
  #peeks: Waiting<PeekRequest, readonly PeekedBatch[]>[] = [];
  /** Jobs in flight, at most two that overlap. */
  readonly #running = new Set<Promise<void>>();
  /** The Job of alarms alone that is in flight beside them. */
  #alarms: Promise<void> | undefined;
  #isGathering = false;
  /** Moving average; one that also moved the log into the database counts as four others at most. */
  #commitMs = 0;
  /** Events of the Jobs in flight. */
  #writtenEvents = 0;

  constructor(context: JobsContext) {
    this.#context = context;
  }

  /** That wait for a Job. */
  get waitingEvents(): number {
    return this.#backlog.events;
  }

  append(append: Append): void {
    this.#backlog.push(append);
    this.pump();
  }

  async acknowledge(request: AckRequest): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#acks.push({ request, resolve, reject });
      this.pump();
    });
  }

  async read(request: PeekRequest): Promise<readonly PeekedBatch[]> {
    return await new Promise((resolve, reject) => {
      this.#peeks.push({ request, resolve, reject });
      this.pump();
    });
  }

  /** A Job that writes and reads nothing: its Answer tells the state of the lanes. */
  async ask(): Promise<void> {
    const { writer, now } = this.#context;
    const { layout } = new JobAppends(noMemory, this.#numbers.forJob([], ''), this.#attributes);
    this.#take(await writer.run({ now: now(), appends: layout, acks: [], peeks: [] }));
  }

  /** What the same turn of the loop still brings goes along. */
  pump(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    queueMicrotask(() => {
      this.#isGathering = false;
      if (this.#mayStartAlarms()) this.#startAlarms();
      while (this.#mayStart()) this.#start();
    });
  }

  /** Resolves when everything that was asked for has its Answer. */
  async settled(): Promise<void> {
    const inFlight = (): Promise<void>[] => [...this.#running, ...(this.#alarms ? [this.#alarms] : [])];
    while (this.#isGathering || inFlight().length > 0) {
      await (this.#isGathering ? undefined : Promise.race(inFlight()));
    }
  }

  refuseAll(error: OutpostError): void {
    const waiting = [...this.#backlog.takeAll(), ...this.#acks.splice(0), ...this.#peeks.splice(0)];
    for (const { reject } of waiting) reject(error);
  }

  #mayStart(): boolean {
    if (!this.#context.writer.isOpen) return false;
    if (this.#running.size === 0) return !this.#backlog.isEmpty || this.#acks.length > 0 || this.#peeks.length > 0;
    return this.#running.size === 1 && (this.#isWorthASecondJob() || this.#peeks.length > 0);
  }

  /** Beside the others, and one at a time: they come soon, and nobody starves. */
  #mayStartAlarms(): boolean {
    return this.#context.writer.isOpen && this.#alarms === undefined && this.#backlog.hasAlarms;
  }

  #isWorthASecondJob(): boolean {
    const { events } = this.#backlog;
    if (events < worthASecondJob) return false;
    return this.#commitMs < workMsAnEvent * (events + this.#writtenEvents);
  }

  #start(): void {
    // A second Job that is there for its reads alone must not cost a commit.
    const readsAlone = this.#running.size > 0 && !this.#isWorthASecondJob();
    const appends = readsAlone ? [] : this.#backlog.take(this.#share());
    const acks = readsAlone ? [] : this.#acks.splice(0);
    const running = this.#run(appends, acks, this.#peeks.splice(0)).finally(() => {
      this.#running.delete(running);
      this.pump();
    });
    this.#running.add(running);
  }

  /** Without anything else that would make its Job longer. */
  #startAlarms(): void {
    this.#alarms = this.#run(this.#backlog.takeAlarms(mostEventsAJob), [], []).finally(() => {
      this.#alarms = undefined;
      this.pump();
    });
  }

  /** @returns events of the next Job: half of many where a second Job will take the other half */
  #share(): number {
    const { events } = this.#backlog;
    const isFirstOfTwo = this.#running.size === 0 && events >= 2 * worthASecondJob && this.#isWorthASecondJob();
    return isFirstOfTwo ? Math.min(mostEventsAJob, Math.ceil(events / 2)) : mostEventsAJob;
  }

  async #run(taken: readonly Append[], acks: Acks, peeks: Peeks): Promise<void> {
    const { writer, fresh, now, slots, onAppended } = this.#context;
    const origin = this.#context.origin();
    const numbers = this.#numbers.forJob(slots(), origin.epoch);
    const layout = new JobAppends(taken.length > 0 ? writer.memory() : noMemory, numbers, this.#attributes);
    const appends = taken.filter((append) => encode(append, origin, layout));
    const events = appends.reduce((sum, { request }) => sum + request.length, 0);
    this.#writtenEvents += events;
    try {
      const answer = await writer.run({
        now: now(),
        appends: layout.layout,
        acks: foldAcks(acks.map(({ request }) => request)),
        peeks: peeks.map(({ request }) => request),
      });
      this.#take(answer);
      numbers.settle();
      const touched = resolveAppends(appends, answer, origin, fresh);
      resolveAcks(acks, answer);
      resolvePeeks(peeks, answer);
      if (touched.size > 0) onAppended(touched);
    } catch (thrown) {
      const error = toOutpostError(thrown);
      for (const { reject } of [...appends, ...acks, ...peeks]) reject(error);
    } finally {
      numbers.settle();
      this.#writtenEvents -= events;
    }
  }

  #take(answer: Answer): void {
    if (answer.commitMs > 0) {
      const counted = this.#commitMs > 0 ? Math.min(answer.commitMs, 4 * this.#commitMs) : answer.commitMs;
      this.#commitMs += (counted - this.#commitMs) / 8;
    }
    this.#context.onAnswer(answer);
  }
}

/** @returns false when it was refused */
function encode({ request, clock, reject }: Append, origin: Origin, layout: JobAppends): boolean {
  try {
    layout.add(request, origin, clock);
    return true;
  } catch (thrown) {
    reject(toOutpostError(thrown));
    return false;
  }
}

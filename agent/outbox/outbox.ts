/**
 * The queue that never forgets: every event is on the disk before anybody is told of it.
 *
 *   append -.                                        .-> Envelope: lane, sequence number
 *   append --> [gathered while one Job is in flight] --> writer thread: one transaction, one fsync
 *   ack    -'                                        '-> peek: a batch as it will be sent
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { type Random, systemRandom } from '#agent/core/random.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { ClockQuality, Envelope } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { JobAppends, StoredEnvelope } from './append.ts';
import { FreshAlarms } from './fresh-alarms.ts';
import { type Host, systemHost } from './host.ts';
import type { AckRequest, Answer, Moment, Opened, PeekedBatch, PeekRequest, SlotState } from './protocol.ts';
import { type LaneRate, LaneRates } from './lane-rates.ts';
import { ReadAhead } from './read-ahead.ts';
import { withChanges } from './slots.ts';
import type { WaitingWriter } from './waiting-writer.ts';
import { failureToError, Writer } from './writer.ts';

export interface OutboxOptions {
  /** Folder of the store; made when it is not there. */
  readonly path: string;
  readonly device: string;
  /** Bytes of waiting events, one eighth of it for alarms and submissions alone. */
  readonly maxSizeBytes: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: Random;
  readonly health?: Health;
  readonly host?: Host;
  /** A writer thread that was started beforehand. */
  readonly writer?: WaitingWriter | undefined;
}

/** A place in a lane: older epochs lie before newer ones. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface Batch {
  readonly lane: Lane;
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  /** One CloudEvents object, or an array of them. */
  readonly bytes: Uint8Array;
  /** Perhaps more wait behind it. */
  readonly more: boolean;
}

export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** What waits in a lane, over all epochs; numbers of the current one. */
export interface LaneState extends LaneRate {
  readonly depth: number;
  readonly bytes: number;
  /** Lowest number that waits; 0 when none does. */
  readonly firstSeq: number;
  /** Highest number that was ever given. */
  readonly lastSeq: number;
  /** Age of the oldest that waits, when it is of this boot. */
  readonly oldestAgeMs: number | undefined;
}

export interface Outbox extends AsyncDisposable {
  /** 128 random bits, born with the store; another one after the store was lost, or the device renamed. */
  readonly epoch: string;
  readonly boot: number;
  readonly state: Readonly<Record<Lane, LaneState>>;
  /** Every (epoch, lane) that the store knows. */
  readonly slots: readonly SlotState[];
  /**
   * All or nothing, in one durable transaction that it may share with others.
   * @throws OutpostError `outbox-full`, `outbox-unavailable`, `outbox-busy`, `event-too-large`: nothing of it is stored
   */
  append(events: readonly Event[]): Promise<readonly Envelope[]>;
  /** The next events after a place, as one publish; undefined when none wait. */
  peek(lane: Lane, after: Position | undefined, limits: BatchLimits): Promise<Batch | undefined>;
  /** Removes everything up to a place, save the ranges in `missing`. */
  ack(lane: Lane, upto: Position, missing?: readonly (readonly [first: number, last: number])[]): Promise<void>;
  /**
   * Gives one event up that the other side never takes, and declares it; alarms, submissions and the ledger's own events
   * stay.
   */
  setAside(lane: Lane, at: Position): Promise<void>;
  /** How long the writer thread has owed an answer, and how long it has been opening the store; 0 when neither. */
  readonly silence: { readonly answerMs: number; readonly openingMs: number };
  /** Asks the writer thread for its state, unless it owes an answer already: `silence` tells whether it comes. */
  ask(): void;
  /** Told of lanes with new events. @returns a function that ends the subscription */
  onAppend(listener: (lanes: ReadonlySet<Lane>) => void): () => void;
}

interface Waiting<Request, Result> {
  readonly request: Request;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: OutpostError) => void;
}

/** Encoded when its Job is made: texts that waited would be copied by each collection of the nursery. */
interface Append extends Waiting<readonly Event[], readonly Envelope[]> {
  /** When it arrived. */
  readonly clock: ClockQuality;
  /** How many of its events are alarms. */
  readonly alarms: 'all' | 'some' | 'none';
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
/** Events that wait for the disk; beyond it producers are refused. */
const mostWaiting = 65_536;

/** @throws OutpostError `outbox-locked`, `outbox-newer`, `outbox-not-durable`, `outbox-full`, `outbox-unavailable` */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const outbox = new DurableOutbox(options);
  await outbox.open();
  return outbox;
}

class DurableOutbox implements Outbox {
  readonly #options: OutboxOptions;
  readonly #host: Host;
  readonly #writer: Writer;
  readonly #listeners = new Set<(lanes: ReadonlySet<Lane>) => void>();
  #appends: Append[] = [];
  #waitingEvents = 0;
  #acks: Waiting<AckRequest, void>[] = [];
  #peeks: Waiting<PeekRequest, readonly PeekedBatch[]>[] = [];
  readonly #ahead = new ReadAhead(async (request) => await this.#read(request));
  readonly #fresh = new FreshAlarms();
  /** Jobs in flight, at most two that overlap. */
  readonly #running = new Set<Promise<void>>();
  /** The Job of alarms alone that is in flight beside them. */
  #alarms: Promise<void> | undefined;
  #isGathering = false;
  /** Moving average; one that also moved the log into the database counts as four others at most. */
  #commitMs = 0;
  /** Events of the Jobs in flight. */
  #writtenEvents = 0;
  #down: OutpostError | undefined;
  #closed = false;
  #origin: Origin;
  #slots: readonly SlotState[] = [];
  readonly #rates: LaneRates;

  constructor(options: OutboxOptions) {
    const { path, device, maxSizeBytes, clock, log, random = systemRandom } = options;
    this.#options = options;
    this.#rates = new LaneRates(clock.monoMs());
    this.#host = options.host ?? systemHost(clock);
    this.#origin = { device, epoch: '', boot: 0 };
    const { bootId, machineId } = this.#host;
    this.#writer = new Writer({
      options: () => ({ path, device, maxSizeBytes, bootId, machineId, now: this.#now() }),
      clock,
      random,
      log,
      waiting: options.writer,
      events: { opened: (opened) => this.#opened(opened), down: (error) => this.#refuseAll(error) },
    });
  }

  get epoch(): string {
    return this.#origin.epoch;
  }

  get boot(): number {
    return this.#origin.boot;
  }

  get slots(): readonly SlotState[] {
    return this.#slots;
  }

  get state(): Readonly<Record<Lane, LaneState>> {
    return Object.fromEntries(lanes.map((lane) => [lane, this.#laneState(lane)])) as Record<Lane, LaneState>;
  }

  async open(): Promise<void> {
    try {
      await this.#writer.open();
    } catch (thrown) {
      this.#closed = true;
      throw thrown;
    }
  }

  async append(events: readonly Event[]): Promise<readonly Envelope[]> {
    if (events.length === 0) return [];
    this.#checkOpen();
    if (this.#waitingEvents + events.length > mostWaiting && this.#waitingEvents > 0) {
      throw new OutpostError('outbox-busy', undefined, { context: { waiting: this.#waitingEvents } });
    }
    const clock = this.#host.clockQuality();
    this.#waitingEvents += events.length;
    return await new Promise((resolve, reject) => {
      this.#appends.push({ request: events, clock, alarms: alarmsIn(events), resolve, reject });
      this.#pump();
    });
  }

  async peek(lane: Lane, after: Position | undefined, limits: BatchLimits): Promise<Batch | undefined> {
    this.#checkOpen();
    const { maxEvents, maxBytes } = limits;
    const fresh = lane === 'alarm' && after ? this.#fresh.after(after) : undefined;
    if (fresh) return fresh;
    const batch = await this.#ahead.peek({ lane, after, maxEvents, maxBytes });
    return batch && { lane, ...batch };
  }

  async ack(lane: Lane, upto: Position, missing: AckRequest['missing'] = []): Promise<void> {
    await this.#acknowledge({ lane, epoch: upto.epoch, upto: upto.seq, missing });
  }

  async setAside(lane: Lane, { epoch, seq }: Position): Promise<void> {
    await this.#acknowledge({ lane, epoch, upto: seq, missing: [], isPoison: true });
    this.#tell(new Set(['audit']));
  }

  get silence(): Outbox['silence'] {
    return { answerMs: this.#writer.silentMs, openingMs: this.#writer.openingMs };
  }

  ask(): void {
    if (this.#closed || !this.#writer.isOpen || !this.#writer.isIdle) return;
    const answered = this.#writer.run({
      now: this.#now(),
      appends: new JobAppends(new Uint8Array(0)).layout,
      acks: [],
      peeks: [],
    });
    // A thread that ends before it answers is opened again; that is told elsewhere.
    void answered.then(
      (answer) => this.#take(answer),
      () => undefined,
    );
  }

  onAppend(listener: (lanes: ReadonlySet<Lane>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What was asked for before is still written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const isBusy = (): boolean => this.#running.size > 0 || this.#alarms !== undefined;
    while (isBusy() || this.#isGathering) {
      await (this.#isGathering ? undefined : Promise.race([...this.#running, ...(this.#alarms ? [this.#alarms] : [])]));
    }
    await this.#writer.close();
    this.#refuseAll(new OutpostError('outbox-closed'));
  }

  async #read(request: PeekRequest): Promise<readonly PeekedBatch[]> {
    this.#checkOpen();
    return await new Promise((resolve, reject) => {
      this.#peeks.push({ request, resolve, reject });
      this.#pump();
    });
  }

  async #acknowledge(request: AckRequest): Promise<void> {
    this.#checkOpen();
    this.#ahead.acknowledged(request.lane, request.epoch, request.upto);
    if (request.lane === 'alarm') this.#fresh.acknowledged({ epoch: request.epoch, seq: request.upto });
    await new Promise<void>((resolve, reject) => {
      this.#acks.push({ request, resolve, reject });
      this.#pump();
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw new OutpostError('outbox-closed');
    if (this.#down) throw this.#down;
  }

  #now(): Moment {
    const { clock } = this.#options;
    return { wallMs: clock.wallMs(), monoMs: clock.monoMs(), clock: this.#host.clockQuality() };
  }

  /** What the same turn of the loop still brings goes along. */
  #pump(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    queueMicrotask(() => {
      this.#isGathering = false;
      if (this.#mayStartAlarms()) this.#startAlarms();
      while (this.#mayStart()) this.#start();
    });
  }

  #mayStart(): boolean {
    if (!this.#writer.isOpen) return false;
    if (this.#running.size === 0) return this.#appends.length > 0 || this.#acks.length > 0 || this.#peeks.length > 0;
    return this.#running.size === 1 && (this.#isWorthASecondJob() || this.#peeks.length > 0);
  }

  /** Beside the others, and one at a time: they come soon, and nobody starves. */
  #mayStartAlarms(): boolean {
    return this.#writer.isOpen && this.#alarms === undefined && this.#appends.some(({ alarms }) => alarms !== 'none');
  }

  #isWorthASecondJob(): boolean {
    if (this.#waitingEvents < worthASecondJob) return false;
    return this.#commitMs < workMsAnEvent * (this.#waitingEvents + this.#writtenEvents);
  }

  #start(): void {
    // A second Job that is there for its reads alone must not cost a commit.
    const readsAlone = this.#running.size > 0 && !this.#isWorthASecondJob();
    const appends = readsAlone ? [] : this.#takeAppends();
    const acks = readsAlone ? [] : this.#acks.splice(0);
    const running = this.#runJob(appends, acks, this.#peeks.splice(0)).finally(() => {
      this.#running.delete(running);
      this.#pump();
    });
    this.#running.add(running);
  }

  /** Without anything else that would make its Job longer. */
  #startAlarms(): void {
    this.#alarms = this.#runJob(this.#takeAlarms(), [], []).finally(() => {
      this.#alarms = undefined;
      this.#pump();
    });
  }

  async #runJob(
    taken: readonly Append[],
    acks: readonly Waiting<AckRequest, void>[],
    peeks: readonly Waiting<PeekRequest, readonly PeekedBatch[]>[],
  ): Promise<void> {
    const origin = this.#origin;
    const layout = new JobAppends(taken.length > 0 ? this.#writer.memory() : new Uint8Array(0));
    const appends = taken.filter((append) => this.#encode(append, layout));
    const events = appends.reduce((sum, { request }) => sum + request.length, 0);
    this.#writtenEvents += events;
    try {
      const answer = await this.#writer.run({
        now: this.#now(),
        appends: layout.layout,
        acks: foldAcks(acks.map(({ request }) => request)),
        peeks: peeks.map(({ request }) => request),
      });
      this.#take(answer);
      const touched = resolveAppends(appends, answer, origin, this.#fresh);
      resolveAcks(acks, answer);
      resolvePeeks(peeks, answer);
      if (touched.size > 0) this.#tell(touched);
    } catch (thrown) {
      const error = toOutpostError(thrown);
      for (const { reject } of [...appends, ...acks, ...peeks]) reject(error);
    } finally {
      this.#writtenEvents -= events;
    }
  }

  /** Half of many where a second Job will take the other half. */
  #takeAppends(): Append[] {
    const isFirstOfTwo =
      this.#running.size === 0 && this.#waitingEvents >= 2 * worthASecondJob && this.#isWorthASecondJob();
    const most = Math.min(mostEventsAJob, isFirstOfTwo ? Math.ceil(this.#waitingEvents / 2) : mostEventsAJob);
    let events = 0;
    let count = 0;
    for (const { request } of this.#appends) {
      if (count > 0 && events + request.length > most) break;
      events += request.length;
      count += 1;
    }
    this.#waitingEvents -= events;
    return this.#appends.splice(0, count);
  }

  /** Alarms go first, as far as every lane keeps its order. */
  #takeAlarms(): Append[] {
    const isMixed = this.#appends.some(({ alarms }) => alarms === 'some');
    if (isMixed) return this.#takeAppends();
    const taken = this.#appends.filter(({ alarms }) => alarms === 'all').slice(0, mostEventsAJob);
    const isTaken = new Set(taken);
    this.#appends = this.#appends.filter((append) => !isTaken.has(append));
    this.#waitingEvents -= taken.reduce((sum, { request }) => sum + request.length, 0);
    return taken;
  }

  /** @returns false when it was refused */
  #encode({ request, clock, reject }: Append, layout: JobAppends): boolean {
    try {
      layout.add(request, this.#origin, clock);
      return true;
    } catch (thrown) {
      reject(toOutpostError(thrown));
      return false;
    }
  }

  #take(answer: Answer): void {
    const before = this.#slots;
    this.#slots = withChanges(before, answer.counters);
    this.#rates.changed(before, this.#slots, this.#options.clock.monoMs());
    if (answer.commitMs > 0) {
      const counted = this.#commitMs > 0 ? Math.min(answer.commitMs, 4 * this.#commitMs) : answer.commitMs;
      this.#commitMs += (counted - this.#commitMs) / 8;
    }
    if (answer.dropped > 0) {
      this.#ahead.forget();
      this.#options.log.warn('Events were given up, and declared.', { bytes: answer.dropped });
      this.#tell(new Set(['audit']));
    }
    const isFull = answer.refused.some(({ failure }) => failure.code === 'outbox-full');
    if (isFull) this.#options.health?.set('outbox-full', 'agent', 'Events are refused for want of room.');
    else if (answer.seqs.length > 0) this.#options.health?.clear('outbox-full', 'agent');
  }

  #opened({ epoch, boot, slots, keptAside, salvaged }: Opened): void {
    this.#origin = { device: this.#options.device, epoch, boot };
    this.#slots = slots;
    this.#ahead.forget();
    this.#fresh.forget();
    this.#down = undefined;
    if (keptAside !== undefined) {
      this.#options.log.error('A damaged store was kept aside.', { keptAside, salvaged, epoch });
      this.#options.health?.set(
        'outbox-lost',
        'agent',
        `${salvaged} events were taken over; the old file: ${keptAside}`,
      );
    }
    this.#tell(new Set(slots.flatMap(({ lane, depth }) => (depth > 0 ? [lane] : []))));
    this.#pump();
  }

  #refuseAll(error: OutpostError): void {
    this.#down = error;
    this.#waitingEvents = 0;
    for (const { reject } of [...this.#appends.splice(0), ...this.#acks.splice(0), ...this.#peeks.splice(0)]) {
      reject(error);
    }
  }

  #tell(touched: ReadonlySet<Lane>): void {
    for (const listener of this.#listeners) listener(touched);
  }

  #laneState(lane: Lane): LaneState {
    const monoMs = this.#options.clock.monoMs();
    const of = this.#slots.filter((slot) => slot.lane === lane);
    const current = of.find(({ epoch }) => epoch === this.#origin.epoch);
    const oldest = of.find(({ depth }) => depth > 0)?.oldestMonoMs;
    return {
      depth: of.reduce((sum, { depth }) => sum + depth, 0),
      bytes: of.reduce((sum, { bytes }) => sum + bytes, 0),
      firstSeq: current?.first ?? 0,
      lastSeq: current?.last ?? 0,
      oldestAgeMs: oldest === undefined ? undefined : Math.max(0, monoMs - oldest),
      ...this.#rates.of(lane, monoMs),
    };
  }
}

function alarmsIn(events: readonly Event[]): Append['alarms'] {
  const isAlarm = ({ lane }: Event): boolean => lane === 'alarm';
  return events.every(isAlarm) ? 'all' : events.some(isAlarm) ? 'some' : 'none';
}

/** @returns the lanes that have new events */
function resolveAppends(
  appends: readonly Append[],
  { seqs, refused }: Answer,
  origin: Origin,
  fresh: FreshAlarms,
): Set<Lane> {
  const touched = new Set<Lane>();
  const failures = new Map(refused.map(({ append, failure }) => [append, failure]));
  let at = 0;
  for (const [index, { request, clock, resolve, reject }] of appends.entries()) {
    const failure = failures.get(index);
    if (failure) reject(failureToError(failure));
    else {
      const start = at;
      const stored = request.map((event, n) => new StoredEnvelope(event, seqs[start + n] ?? 0, origin, clock));
      for (const envelope of stored) {
        touched.add(envelope.lane);
        if (envelope.lane === 'alarm') fresh.written(origin.epoch, envelope);
      }
      resolve(stored);
    }
    at += request.length;
  }
  return touched;
}

function resolveAcks(acks: readonly Waiting<AckRequest, void>[], { acks: failure }: Answer): void {
  for (const { resolve, reject } of acks) {
    if (failure) reject(failureToError(failure));
    else resolve();
  }
}

function resolvePeeks(waiting: readonly Waiting<PeekRequest, readonly PeekedBatch[]>[], { peeks }: Answer): void {
  for (const [index, { resolve, reject }] of waiting.entries()) {
    if ('code' in peeks) reject(failureToError(peeks));
    else resolve(peeks[index] ?? []);
  }
}

/** Plain acknowledgements of one lane: only the highest counts. */
function foldAcks(requests: readonly AckRequest[]): AckRequest[] {
  const highest = new Map<string, AckRequest>();
  const others: AckRequest[] = [];
  for (const request of requests) {
    if (request.missing.length > 0 || request.isPoison) others.push(request);
    else {
      const key = `${request.epoch} ${request.lane}`;
      if ((highest.get(key)?.upto ?? 0) < request.upto) highest.set(key, request);
    }
  }
  return [...highest.values(), ...others];
}

/**
 * The queue that never forgets: every event is on the disk before anybody is told of it.
 *
 *   append -.                                        .-> Envelope: lane, sequence number
 *   append --> [gathered while one Job is in flight] --> writer thread: one transaction, one fsync
 *   ack    -'                                        '-> peek: a batch as it will be sent
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { type Random, systemRandom } from '#agent/core/random.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { Envelope } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { FreshAlarms } from './fresh-alarms.ts';
import { type Host, systemHost } from './host.ts';
import type { AckRequest, Answer, Moment, Opened, PeekedBatch, PeekRequest, SlotState } from './protocol.ts';
import { Jobs } from './jobs.ts';
import { type LaneRate, LaneRates } from './lane-rates.ts';
import { ReadAhead } from './read-ahead.ts';
import { Salvager } from './salvager.ts';
import { withChanges } from './slots.ts';
import type { WaitingWriter } from './waiting-writer.ts';
import { Writer } from './writer.ts';

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
  /** A damaged store up to this size is salvaged before anything is served, a larger one beside a new one; 64 MiB. */
  readonly salvageFirstBytes?: number;
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
  /**
   * Told when events of older epochs were taken over from a damaged store: they lie before places that were read already.
   * @returns a function that ends the subscription
   */
  onTakenOver(listener: () => void): () => void;
}

/** Under a second, on a slow device too. */
const salvageFirst = 64 * 1024 * 1024;
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
  readonly #salvager: Salvager;
  readonly #listeners = new Set<(lanes: ReadonlySet<Lane>) => void>();
  readonly #takenOver = new Set<() => void>();
  readonly #ahead = new ReadAhead(async (request) => await this.#read(request));
  readonly #fresh = new FreshAlarms();
  readonly #jobs: Jobs;
  #down: OutpostError | undefined;
  #closed = false;
  #origin: Origin;
  #slots: readonly SlotState[] = [];
  readonly #rates: LaneRates;

  constructor(options: OutboxOptions) {
    const { path, device, maxSizeBytes, clock, log, health, random = systemRandom } = options;
    const { salvageFirstBytes = salvageFirst } = options;
    this.#options = options;
    this.#rates = new LaneRates(clock.monoMs());
    this.#host = options.host ?? systemHost(clock);
    this.#origin = { device, epoch: '', boot: 0 };
    const { bootId, machineId } = this.#host;
    this.#writer = new Writer({
      options: () => ({ path, device, maxSizeBytes, bootId, machineId, salvageFirstBytes, now: this.#now() }),
      clock,
      random,
      log,
      waiting: options.writer,
      events: { opened: (opened) => this.#opened(opened), down: (error) => this.#refuseAll(error) },
    });
    this.#salvager = new Salvager({
      path,
      reopen: () => this.#writer.reopen(),
      clock,
      random,
      health,
      log,
    });
    this.#jobs = new Jobs({
      writer: this.#writer,
      fresh: this.#fresh,
      origin: () => this.#origin,
      slots: () => this.#slots,
      now: () => this.#now(),
      onAnswer: (answer) => this.#take(answer),
      onAppended: (touched) => this.#tell(touched),
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

  append(events: readonly Event[]): Promise<readonly Envelope[]> {
    return new Promise((resolve, reject) => {
      if (events.length === 0) {
        resolve([]);
        return;
      }
      this.#checkOpen();
      const waiting = this.#jobs.waitingEvents;
      if (waiting > 0 && waiting + events.length > mostWaiting) {
        throw new OutpostError('outbox-busy', undefined, { context: { waiting } });
      }
      this.#jobs.append({ request: events, clock: this.#host.clockQuality(), resolve, reject });
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
    // A thread that ends before it answers is opened again; that is told elsewhere.
    this.#jobs.ask().catch(() => undefined);
  }

  onAppend(listener: (lanes: ReadonlySet<Lane>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onTakenOver(listener: () => void): () => void {
    this.#takenOver.add(listener);
    return () => this.#takenOver.delete(listener);
  }

  /** What was asked for before is still written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#salvager.close();
    await this.#jobs.settled();
    await this.#writer.close();
    this.#refuseAll(new OutpostError('outbox-closed'));
  }

  async #read(request: PeekRequest): Promise<readonly PeekedBatch[]> {
    this.#checkOpen();
    return await this.#jobs.read(request);
  }

  async #acknowledge(request: AckRequest): Promise<void> {
    this.#checkOpen();
    this.#ahead.acknowledged(request.lane, request.epoch, request.upto);
    if (request.lane === 'alarm') this.#fresh.acknowledged({ epoch: request.epoch, seq: request.upto });
    await this.#jobs.acknowledge(request);
  }

  #checkOpen(): void {
    if (this.#closed) throw new OutpostError('outbox-closed');
    if (this.#down) throw this.#down;
  }

  #now(): Moment {
    const { clock } = this.#options;
    return { wallMs: clock.wallMs(), monoMs: clock.monoMs(), clock: this.#host.clockQuality() };
  }

  #take(answer: Answer): void {
    const before = this.#slots;
    this.#slots = withChanges(before, answer.counters);
    this.#rates.changed(before, this.#slots, this.#options.clock.monoMs());
    if (answer.dropped > 0) {
      this.#ahead.forget();
      this.#options.log.warn('Events were given up, and declared.', { bytes: answer.dropped });
      this.#tell(new Set(['audit']));
    }
    const isFull = answer.refused.some(({ failure }) => failure.code === 'outbox-full');
    if (isFull) this.#options.health?.set('outbox-full', 'agent', 'Events are refused for want of room.');
    else if (answer.seqs.length > 0) this.#options.health?.clear('outbox-full', 'agent');
  }

  #opened({ epoch, boot, slots, salvaged, salvaging, isGone }: Opened): void {
    this.#origin = { device: this.#options.device, epoch, boot };
    this.#slots = slots;
    this.#ahead.forget();
    this.#fresh.forget();
    this.#down = undefined;
    if (salvaged) this.#tellLoss(`${salvaged.events} events were taken over; the old file: ${salvaged.keptAside}`);
    if (isGone) this.#tellLoss(`outbox.db in ${this.#options.path} is missing or empty; a new store was begun`);
    this.#salvager.opened(salvaging);
    this.#tell(new Set(slots.flatMap(({ lane, depth }) => (depth > 0 ? [lane] : []))));
    if (salvaged) for (const listener of this.#takenOver) listener();
    this.#jobs.pump();
  }

  #tellLoss(text: string): void {
    this.#options.log.error('The store was damaged.', { text, epoch: this.#origin.epoch });
    this.#options.health?.set('outbox-lost', 'agent', text);
  }

  #refuseAll(error: OutpostError): void {
    this.#down = error;
    this.#jobs.refuseAll(error);
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

/**
 * Empties lanes of the outbox into one connection, highest lane first, in order within a lane.
 *
 *   append -> due (at once, or at most 200 ms late) -> peek -> publish, within window and rate -> PUBACK -> removed
 *                                                                          custody `consumer`: -> committed -> removed
 */
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import { noSubscriber } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import type { LaneAck } from '#agent/domain/ack.ts';
import { contentTypes } from '#agent/domain/cloudevent.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { ConsumerCustody } from './consumer-custody.ts';
import { LaneDrain, type Read } from './lane-drain.ts';
import type { LineRate } from './line-rate.ts';
import type { Batch, BatchLimits, Position, Source } from './source.ts';
import type { Suspects } from './suspects.ts';
import { Wakeup } from './wakeup.ts';

export interface DrainReport {
  sent(batch: Batch): void;
  acknowledged(lane: Lane, events: number): void;
  /** @param code 16: nobody subscribes; from 128: refused */
  refused(lane: Lane, events: number, code: number): void;
  /** One event was given up: the broker takes others, and never this one. */
  poison(lane: Lane, at: Position): void;
}

export interface DrainOptions {
  readonly source: Source;
  readonly lanes: readonly Lane[];
  readonly topicOf: (lane: Lane) => string;
  readonly publish: (topic: string, payload: Uint8Array, contentType: string) => Promise<number>;
  readonly limits: BatchLimits;
  /** Publishes in flight. */
  readonly window: number;
  /** Bounds the bytes in flight, and a batch to a part of them. */
  readonly rate?: LineRate | undefined;
  /** Absent: custody `broker`, what has its PUBACK is removed. */
  readonly consumer?: ConsumerCustody | undefined;
  readonly suspects: Suspects;
  /** How late a batch may be that is not full. */
  readonly lateMs: number;
  readonly report: DrainReport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What was acknowledged, and is still in the store. */
interface Removable {
  batches: number;
  /** Of each epoch the highest number. */
  readonly upto: Map<string, number>;
}

/** While the store cannot be read. */
const retryMs = 500;
/** Batches that are removed in one commit while more are in flight. */
const removeEvery = 8;
/** How long what is in flight is waited for at the end. */
const finishMs = 500;

/** MQTT 5 section 2.4: what a broker would answer to a packet beyond its limit, if it did not end the line. */
export const packetTooLarge = 149;

/** PUBACK reasons that speak of the one who sends, not of what is sent: MQTT 5 section 3.4.2.1. */
const notAboutTheEvent: ReadonlySet<number> = new Set([noSubscriber, 135, 144, 151]);

export class Drain {
  readonly #options: DrainOptions;
  readonly #lanes: readonly LaneDrain[];
  readonly #wakeup: Wakeup;
  readonly #removable = new Map<Lane, Removable>();
  readonly #removing = new Map<Lane, Promise<void>>();
  #cut: unknown;

  constructor(options: DrainOptions) {
    const { lanes, consumer, suspects, clock, random } = options;
    this.#options = options;
    const custody = consumer ? 'consumer' : 'broker';
    this.#lanes = lanes.map((lane) => new LaneDrain({ lane, custody, suspects, clock, random }));
    this.#wakeup = new Wakeup(clock);
  }

  /** When the oldest publish without an answer was sent, monotonic. */
  get oldestSentMonoMs(): number | undefined {
    const sent = this.#lanes.flatMap(({ oldestSentMonoMs }) => oldestSentMonoMs ?? []);
    return sent.length > 0 ? Math.min(...sent) : undefined;
  }

  /** Until aborted. @throws what `publish` threw when the line was cut */
  async run(signal: AbortSignal): Promise<void> {
    const { source, consumer } = this.#options;
    const endAppends = source.onAppend((lanes) => this.#appended(lanes));
    const endCommits = consumer?.onCommitted((lane, epoch, ack) => this.#committed(lane, epoch, ack));
    try {
      while (!signal.aborted && this.#cut === undefined) await this.#step(signal);
      if (this.#cut === undefined) await this.#finish();
    } finally {
      endAppends();
      endCommits?.();
      while (this.#removing.size > 0 || this.#removable.size > 0) {
        for (const lane of this.#removable.keys()) this.#remove(lane);
        await Promise.all(this.#removing.values());
      }
    }
    if (this.#cut !== undefined && !signal.aborted) throw this.#cut;
  }

  async #step(signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.monoMs();
    for (const lane of this.#lanes) if ((lane.stallMonoMs ?? Infinity) <= now) this.#stalled(lane);
    const isFull = this.#isFull();
    const next = isFull ? undefined : this.#lanes.find(({ dueMonoMs }) => (dueMonoMs ?? Infinity) <= now);
    if (next) {
      await this.#send(next, signal);
      return;
    }
    const times = this.#lanes.flatMap(({ dueMonoMs, stallMonoMs }) => [
      ...(isFull || dueMonoMs === undefined ? [] : [dueMonoMs]),
      ...(stallMonoMs === undefined ? [] : [stallMonoMs]),
    ]);
    await this.#wakeup.wait(signal, times.length > 0 ? Math.max(0, Math.min(...times) - now) : undefined);
  }

  #isFull(): boolean {
    const { rate, window } = this.#options;
    return (rate?.isFull ?? false) || this.#lanes.reduce((sum, { inFlight }) => sum + inFlight, 0) >= window;
  }

  #stalled(lane: LaneDrain): void {
    this.#options.log.info('The consumer has not acknowledged for long: its events are sent again.', {
      lane: lane.lane,
      publishes: lane.uncommitted,
    });
    lane.stalled();
  }

  async #send(lane: LaneDrain, signal: AbortSignal): Promise<void> {
    const { source, clock, log } = this.#options;
    const read = lane.read(this.#limits());
    try {
      const batch = await source.peek(lane.lane, read.after, read.limits);
      if (signal.aborted) return;
      if (batch && isWithin(batch, read)) {
        void this.#publish(lane, batch, read);
        this.#readOn(lane);
      } else lane.nothing(read);
    } catch (thrown) {
      log.debug('The store cannot be read now.', { lane: lane.lane, reason: messageOf(thrown) });
      lane.appended(retryMs);
      await clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }

  /** A batch read ahead does not know of what was appended since, nor the last of an epoch of the next one. */
  #readOn(lane: LaneDrain): void {
    if (!lane.isProbing && this.#unread(lane).events > 0) lane.appended(this.#options.lateMs);
  }

  #limits(): BatchLimits {
    const { limits, rate } = this.#options;
    if (!rate) return limits;
    return { ...limits, maxBytes: Math.min(limits.maxBytes, rate.batchBytes) };
  }

  /** Does not wait for the answer before it: the window does. Never rejects. */
  async #publish(lane: LaneDrain, batch: Batch, read: Read): Promise<void> {
    const { topicOf, publish, report, rate, clock, suspects } = this.#options;
    const entry = lane.sent(batch, read);
    report.sent(batch);
    const flight = rate?.sent(batch.bytes.byteLength, clock.monoMs());
    try {
      const contentType = batch.count === 1 ? contentTypes.one : contentTypes.batch;
      const code = await publish(topicOf(batch.lane), batch.bytes, contentType);
      if (flight) rate?.answered(flight, clock.monoMs());
      if (code === noSubscriber || code >= 128) {
        report.refused(batch.lane, batch.count, code);
        if (lane.isProbing && !notAboutTheEvent.has(code)) {
          suspects.failed(batch.lane, batch, code === packetTooLarge ? 'too-large' : 'refused');
        }
        lane.refused(entry);
      } else await this.#taken(lane, batch, entry);
    } catch (thrown) {
      this.#cutBy(thrown);
    }
    this.#wakeup.ring();
  }

  async #taken(lane: LaneDrain, batch: Batch, entry: ReturnType<LaneDrain['sent']>): Promise<void> {
    const { suspects, source, report, consumer, log } = this.#options;
    const poison = suspects.taken(batch.lane, batch);
    if (poison) {
      try {
        await source.setAside(batch.lane, poison);
        report.poison(batch.lane, poison);
      } catch (thrown) {
        // nothing is removed before it is declared
        log.debug('A poison event cannot be set aside now.', { lane: batch.lane, reason: messageOf(thrown) });
        lane.refused(entry);
        return;
      }
    }
    const done = lane.acknowledged(entry);
    if (consumer) report.acknowledged(batch.lane, batch.count);
    else this.#acknowledged(lane, done);
  }

  /** An orderly end while an event is in flight may be that event's doing; silence and resets are the line's. */
  #cutBy(thrown: unknown): void {
    if (this.#cut !== undefined) return;
    this.#cut = thrown;
    if (!(thrown instanceof OutpostError) || thrown.context['orderly'] !== true) return;
    for (const { lane, unanswered } of this.#lanes) {
      if (unanswered) this.#options.suspects.failed(lane, unanswered, 'cut');
    }
  }

  /** Not after every PUBACK: each removal is a commit, and what is read next would wait for it. */
  #acknowledged(lane: LaneDrain, done: readonly Batch[]): void {
    if (done.length === 0) return;
    this.#options.report.acknowledged(
      lane.lane,
      done.reduce((sum, { count }) => sum + count, 0),
    );
    const removable = this.#removable.get(lane.lane) ?? { batches: 0, upto: new Map<string, number>() };
    removable.batches += done.length;
    for (const { epoch, last: seq } of done) removable.upto.set(epoch, seq);
    this.#removable.set(lane.lane, removable);
    this.#removeWhenDue(lane.lane);
  }

  #removeWhenDue(lane: Lane): void {
    const isIdle = this.#lanes.find((drain) => drain.lane === lane)?.inFlight === 0;
    if (isIdle || (this.#removable.get(lane)?.batches ?? 0) >= removeEvery) this.#remove(lane);
  }

  #remove(lane: Lane): void {
    const { source, log } = this.#options;
    const removable = this.#removable.get(lane);
    // one at a time: the slower the disk, the more each of them takes away
    if (!removable || this.#removing.has(lane)) return;
    this.#removable.delete(lane);
    const acks = [...removable.upto].map(async ([epoch, seq]) => await source.ack(lane, { epoch, seq }));
    // A removal that fails is made up for by the next one, or the events are sent again: they keep their identity.
    const removing = Promise.all(acks)
      .then(() => undefined)
      .catch((thrown: unknown) =>
        log.debug('What was acknowledged cannot be removed now.', { lane, reason: messageOf(thrown) }),
      )
      .finally(() => {
        this.#removing.delete(lane);
        this.#removeWhenDue(lane);
      });
    this.#removing.set(lane, removing);
  }

  #committed(lane: Lane, epoch: string, ack: LaneAck): void {
    this.#lanes.find((drain) => drain.lane === lane)?.committed(epoch, ack);
    this.#wakeup.ring();
  }

  #appended(touched: ReadonlySet<Lane>): void {
    const { lateMs, limits } = this.#options;
    for (const lane of this.#lanes) {
      if (!touched.has(lane.lane)) continue;
      lane.appended(lateMs);
      const unread = this.#unread(lane);
      if (unread.events >= limits.maxEvents || unread.bytes >= limits.maxBytes) lane.dueNow();
    }
    this.#wakeup.ring();
  }

  /** At most: an older epoch counts with all that waits in it. */
  #unread({ lane, cursor }: LaneDrain): { readonly events: number; readonly bytes: number } {
    return this.#options.source.slots
      .filter((slot) => slot.lane === lane)
      .reduce(
        (sum, { epoch, last, bytes, depth }) => {
          const events = cursor?.epoch === epoch ? last - cursor.seq : depth;
          return { events: sum.events + events, bytes: sum.bytes + (depth > 0 ? (bytes / depth) * events : 0) };
        },
        { events: 0, bytes: 0 },
      );
  }

  async #finish(): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monoMs() + finishMs;
    const never = new AbortController().signal;
    const isBusy = (): boolean => this.#lanes.some(({ inFlight }) => inFlight > 0) && this.#cut === undefined;
    while (isBusy() && clock.monoMs() < until) await this.#wakeup.wait(never, until - clock.monoMs());
  }
}

const isWithin = ({ epoch, first }: Batch, { again }: Read): boolean =>
  !again || (again.epoch === epoch && first <= again.last);

/**
 * Empties lanes of the outbox into one connection, highest lane first, in order within a lane.
 *
 *   append -> due (at once, or at most 200 ms late) -> peek -> publish, within the window -> PUBACK -> removed
 */
import type { Clock } from '#agent/core/clock.ts';
import { messageOf } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import { noSubscriber } from '#agent/core/mqtt.ts';
import type { Random } from '#agent/core/random.ts';
import { contentTypes } from '#agent/domain/cloudevent.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { LaneDrain } from './lane-drain.ts';
import type { Batch, BatchLimits, Position, Source } from './source.ts';
import { Wakeup } from './wakeup.ts';

export interface DrainReport {
  sent(events: number): void;
  acknowledged(lane: Lane, events: number): void;
  /** @param code 16: nobody subscribes; from 128: refused */
  refused(lane: Lane, events: number, code: number): void;
}

export interface DrainOptions {
  readonly source: Source;
  readonly lanes: readonly Lane[];
  readonly topicOf: (lane: Lane) => string;
  readonly publish: (topic: string, payload: Uint8Array, contentType: string) => Promise<number>;
  readonly limits: BatchLimits;
  /** Publishes in flight. */
  readonly window: number;
  /** How late a batch may be that is not full. */
  readonly lateMs: number;
  readonly report: DrainReport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** While the store cannot be read. */
const retryMs = 500;
/** Batches that are removed in one commit while more are in flight. */
const removeEvery = 8;
/** How long what is in flight is waited for at the end. */
const finishMs = 500;

export class Drain {
  readonly #options: DrainOptions;
  readonly #lanes: readonly LaneDrain[];
  readonly #wakeup: Wakeup;
  readonly #removable = new Map<Lane, { readonly batches: number; readonly upto: Position }>();
  readonly #removing = new Set<Promise<void>>();
  #cut: unknown;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#lanes = options.lanes.map((lane) => new LaneDrain(lane, options.clock, options.random));
    this.#wakeup = new Wakeup(options.clock);
  }

  /** When the oldest publish without an answer was sent, monotonic. */
  get oldestSentMonoMs(): number | undefined {
    const sent = this.#lanes.flatMap(({ oldestSentMonoMs }) => oldestSentMonoMs ?? []);
    return sent.length > 0 ? Math.min(...sent) : undefined;
  }

  /** Until aborted. @throws what `publish` threw when the line was cut */
  async run(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const end = source.onAppend((lanes) => this.#appended(lanes));
    try {
      while (!signal.aborted && this.#cut === undefined) await this.#step(signal);
      if (this.#cut === undefined) await this.#finish();
    } finally {
      end();
      for (const { lane } of this.#lanes) this.#remove(lane);
      await Promise.all(this.#removing);
    }
    if (this.#cut !== undefined && !signal.aborted) throw this.#cut;
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const now = clock.monoMs();
    const next = this.#isFull() ? undefined : this.#lanes.find(({ dueMonoMs }) => (dueMonoMs ?? Infinity) <= now);
    if (next) {
      await this.#send(next, signal);
      return;
    }
    const dues = this.#isFull() ? [] : this.#lanes.flatMap(({ dueMonoMs }) => dueMonoMs ?? []);
    await this.#wakeup.wait(signal, dues.length > 0 ? Math.max(0, Math.min(...dues) - now) : undefined);
  }

  #isFull(): boolean {
    return this.#lanes.reduce((sum, { inFlight }) => sum + inFlight, 0) >= this.#options.window;
  }

  async #send(lane: LaneDrain, signal: AbortSignal): Promise<void> {
    const { source, limits, clock, log } = this.#options;
    lane.reading();
    try {
      const batch = await source.peek(lane.lane, lane.cursor, lane.isProbing ? { ...limits, maxEvents: 1 } : limits);
      if (batch && !signal.aborted) void this.#publish(lane, batch);
    } catch (thrown) {
      log.debug('The store cannot be read now.', { lane: lane.lane, reason: messageOf(thrown) });
      lane.appended(retryMs);
      await clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }

  /** Does not wait for the answer before it: the window does. Never rejects. */
  async #publish(lane: LaneDrain, batch: Batch): Promise<void> {
    const { topicOf, publish, report } = this.#options;
    const entry = lane.sent(batch);
    report.sent(batch.count);
    try {
      const contentType = batch.count === 1 ? contentTypes.one : contentTypes.batch;
      const code = await publish(topicOf(batch.lane), batch.bytes, contentType);
      if (code === noSubscriber || code >= 128) {
        report.refused(batch.lane, batch.count, code);
        lane.refused(entry);
      } else this.#acknowledged(lane, lane.acknowledged(entry));
    } catch (thrown) {
      this.#cut ??= thrown;
    }
    this.#wakeup.ring();
  }

  /** Not after every PUBACK: each removal is a commit, and what is read next would wait for it. */
  #acknowledged(lane: LaneDrain, done: readonly Batch[]): void {
    const last = done.at(-1);
    if (!last) return;
    this.#options.report.acknowledged(
      lane.lane,
      done.reduce((sum, { count }) => sum + count, 0),
    );
    const batches = (this.#removable.get(lane.lane)?.batches ?? 0) + done.length;
    this.#removable.set(lane.lane, { batches, upto: { epoch: last.epoch, seq: last.last } });
    if (batches >= removeEvery || lane.inFlight === 0) this.#remove(lane.lane);
  }

  #remove(lane: Lane): void {
    const { source, log } = this.#options;
    const upto = this.#removable.get(lane)?.upto;
    if (!upto) return;
    this.#removable.delete(lane);
    // A removal that fails is made up for by the next one, or the events are sent again: they keep their identity.
    const removing = source
      .ack(lane, upto)
      .catch((thrown: unknown) =>
        log.debug('What was acknowledged cannot be removed now.', { lane, reason: messageOf(thrown) }),
      )
      .finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
  }

  #appended(touched: ReadonlySet<Lane>): void {
    const { lateMs, limits, source } = this.#options;
    for (const lane of this.#lanes) {
      if (!touched.has(lane.lane)) continue;
      lane.appended(lateMs);
      const unread = source.slots
        .filter((slot) => slot.lane === lane.lane)
        .reduce(
          (sum, { epoch, last, bytes, depth }) => {
            const events = lane.cursor?.epoch === epoch ? last - lane.cursor.seq : depth;
            return { events: sum.events + events, bytes: sum.bytes + (depth > 0 ? (bytes / depth) * events : 0) };
          },
          { events: 0, bytes: 0 },
        );
      if (unread.events >= limits.maxEvents || unread.bytes >= limits.maxBytes) lane.dueNow();
    }
    this.#wakeup.ring();
  }

  async #finish(): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monoMs() + finishMs;
    const never = new AbortController().signal;
    const isBusy = (): boolean => this.#lanes.some(({ inFlight }) => inFlight > 0) && this.#cut === undefined;
    while (isBusy() && clock.monoMs() < until) await this.#wakeup.wait(never, until - clock.monoMs());
  }
}

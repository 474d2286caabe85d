/**
 * Custody `consumer`: an event leaves the store when a consumer that is believed has committed it.
 *
 *   down/ack -> bounded, parsed, for this device -> signature -> (epoch, lane) known, nothing never sent -> outbox.ack
 *                                                                                             '-> those who send: told
 *   anything else: counted, said, and nothing has changed
 */
import type { Clock } from '#agent/core/clock.ts';
import { messageOf } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { type Ack, type AckProblem, type LaneAck, parseAck } from '#agent/domain/ack.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Verify } from '#agent/domain/signature.ts';
import type { Batch, Source } from './source.ts';

/** `ahead`: it claims what was never sent. */
export type AckRefusal = AckProblem | 'not-believed' | 'ahead';

export interface ConsumerCustodyOptions {
  readonly source: Source;
  readonly device: string;
  readonly verify: Verify;
  readonly health: Health;
  readonly clock: Clock;
  readonly log: Log;
}

export interface AcksStatus {
  readonly accepted: number;
  readonly refused: number;
  readonly lastRefusal: AckRefusal | undefined;
  /** When the last one that is believed came, ISO 8601. */
  readonly lastAt: string | undefined;
}

type Listener = (lane: Lane, epoch: string, ack: LaneAck) => void;

/** They merge: while one is being written, the newest few are enough. */
const mostWaiting = 32;

export class ConsumerCustody {
  readonly #options: ConsumerCustodyOptions;
  readonly #listeners = new Set<Listener>();
  readonly #sent = new Map<string, number>();
  readonly #waiting: Uint8Array[] = [];
  #working: Promise<void> | undefined;
  #accepted = 0;
  #refused = 0;
  #lastRefusal: AckRefusal | undefined;
  #lastAt: string | undefined;

  constructor(options: ConsumerCustodyOptions) {
    this.#options = options;
    // An earlier run may have sent all that was there when this one began.
    for (const { epoch, lane, last } of options.source.slots) this.#sent.set(`${epoch} ${lane}`, last);
  }

  get status(): AcksStatus {
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      lastRefusal: this.#lastRefusal,
      lastAt: this.#lastAt,
    };
  }

  /** @returns a function that ends the subscription */
  onCommitted(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  sent({ epoch, lane, last }: Batch): void {
    const key = `${epoch} ${lane}`;
    if (last > (this.#sent.get(key) ?? 0)) this.#sent.set(key, last);
  }

  /** Any payload of `down/ack`; worked off one after the other. */
  receive(payload: Uint8Array): void {
    this.#waiting.push(payload);
    if (this.#waiting.length > mostWaiting) this.#waiting.shift();
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
  }

  /** When all that was received has had its effect. */
  async settled(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#take(next);
  }

  async #take(payload: Uint8Array): Promise<void> {
    const { device, verify } = this.#options;
    const received = parseAck(payload, device);
    if (typeof received === 'string') this.#refuse(received);
    else if (!verify(received.signed, received.signature)) this.#refuse('not-believed');
    else await this.#apply(received.ack);
  }

  async #apply({ epochs }: Ack): Promise<void> {
    const { clock, health } = this.#options;
    this.#accepted += 1;
    this.#lastAt = new Date(clock.wallMs()).toISOString();
    health.clear('ack-refused', 'agent');
    for (const [epoch, byLane] of epochs) {
      for (const [lane, ack] of byLane) await this.#applyLane(epoch, lane, ack);
    }
  }

  async #applyLane(epoch: string, lane: Lane, ack: LaneAck): Promise<void> {
    const { source, log } = this.#options;
    if (!source.slots.some((slot) => slot.epoch === epoch && slot.lane === lane)) {
      // an epoch from before a rebuilding of the store stays in what the consumer says
      log.debug('An acknowledgement speaks of an epoch that is not here.', { epoch, lane });
      return;
    }
    if (ack.upto > this.#mostSent(epoch, lane)) {
      this.#refuse('ahead', { epoch, lane, upto: ack.upto });
      return;
    }
    try {
      if (ack.upto > 0) await source.ack(lane, { epoch, seq: ack.upto }, ack.missing);
      for (const listener of this.#listeners) listener(lane, epoch, ack);
    } catch (thrown) {
      log.debug('What was committed cannot be removed now.', { lane, reason: messageOf(thrown) });
    }
  }

  /** Of an epoch that has ended, and was salvaged perhaps, a consumer may have more than the store knows of. */
  #mostSent(epoch: string, lane: Lane): number {
    if (epoch !== this.#options.source.epoch) return Infinity;
    return this.#sent.get(`${epoch} ${lane}`) ?? 0;
  }

  #refuse(refusal: AckRefusal, context: Readonly<Record<string, unknown>> = {}): void {
    const { log, health } = this.#options;
    this.#refused += 1;
    if (this.#lastRefusal !== refusal) log.warn('An acknowledgement is refused.', { refusal, ...context });
    this.#lastRefusal = refusal;
    health.set('ack-refused', 'agent', `The last one was refused: ${refusal}.`);
  }
}

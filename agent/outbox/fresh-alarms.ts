/**
 * Alarms that were just written, kept in memory: sending one does not cost a second way through the writer, which may be
 * busy with what waits in the other lanes.
 */
import type { Envelope } from '#agent/domain/envelope.ts';
import type { Batch, Position } from './outbox.ts';

interface Fresh {
  readonly seq: number;
  readonly envelope: Envelope;
}

const most = 32;

export class FreshAlarms {
  #epoch = '';
  #kept: Fresh[] = [];

  /** Durable now. In the order of their numbers. */
  written(epoch: string, envelope: Envelope): void {
    if (epoch !== this.#epoch) this.forget();
    this.#epoch = epoch;
    this.#kept.push({ seq: Number(envelope.seq), envelope });
    if (this.#kept.length > most) this.#kept.shift();
  }

  /** The one behind a place, alone; undefined: ask the store. */
  after({ epoch, seq }: Position): Batch | undefined {
    const index = epoch === this.#epoch ? this.#kept.findIndex((fresh) => fresh.seq === seq + 1) : -1;
    const fresh = this.#kept[index];
    if (!fresh) return undefined;
    const { bytes } = fresh.envelope;
    return {
      lane: 'alarm',
      epoch,
      first: fresh.seq,
      last: fresh.seq,
      count: 1,
      bytes,
      more: index < this.#kept.length - 1,
    };
  }

  acknowledged({ epoch, seq }: Position): void {
    if (epoch === this.#epoch) this.#kept = this.#kept.filter((fresh) => fresh.seq > seq);
  }

  forget(): void {
    this.#kept = [];
  }
}

/** Events of a replay as they would be sent: the same CloudEvents, in an epoch of their own. */
import { encodeEvent } from '#agent/domain/cloudevent.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';

export class EventEncoder {
  readonly #device: string;
  readonly #last = new Map<Lane, bigint>();

  constructor(device: string) {
    this.#device = device;
  }

  encode(event: Event): string {
    const seq = (this.#last.get(event.lane) ?? 0n) + 1n;
    this.#last.set(event.lane, seq);
    return encodeEvent(event, { device: this.#device, epoch: 'replay', boot: 0, seq, clock: 'unsynced' });
  }
}

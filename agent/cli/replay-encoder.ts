/** Events of a replay as they would be sent: the same CloudEvents, in an epoch of their own. */
import { encodeEvent, encodeHead, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';

const epoch = 'replay';

export class EventEncoder {
  readonly #device: string;
  readonly #last = new Map<Lane, number>();

  constructor(device: string) {
    this.#device = device;
  }

  encode(event: Event): string {
    const seq = (this.#last.get(event.lane) ?? 0) + 1;
    this.#last.set(event.lane, seq);
    const encoded = encodeEvent(event, { device: this.#device, epoch, boot: 0 }, 'unsynced');
    return spliceSequence(encodeHead(epoch, event.lane), encoded, seq);
  }
}

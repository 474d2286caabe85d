/** What the embedded broker got, told apart by (device, epoch, lane, number): each counts once, and again is counted too. */
import type { Lane } from '#agent/domain/lane.ts';
import type { ReceivedEvent } from '../demo-broker.ts';

interface LaneArrivals {
  /** All up to here have come. */
  upto: number;
  readonly ahead: Set<number>;
}

export class Arrivals {
  readonly #lanes = new Map<string, LaneArrivals>();
  /** Each number once. */
  received = 0;
  again = 0;
  /** Events that devices gave up, and declared. */
  declared = 0;

  take(event: ReceivedEvent): void {
    const lane = this.#lane(event.source, event.epoch, event.lane);
    const seq = Number(event.seq);
    if (seq <= lane.upto || lane.ahead.has(seq)) {
      this.again += 1;
      return;
    }
    this.received += 1;
    if (event.type === 'outpost.dropped') this.declared += Number(event.data['count'] ?? 0);
    lane.ahead.add(seq);
    while (lane.ahead.delete(lane.upto + 1)) lane.upto += 1;
  }

  /** @returns how many numbers below `seq` have come */
  below(source: string, epoch: string, lane: Lane, seq: number): number {
    const { upto, ahead } = this.#lane(source, epoch, lane);
    return Math.min(upto, seq - 1) + [...ahead].filter((number) => number < seq).length;
  }

  #lane(source: string, epoch: string, lane: string): LaneArrivals {
    const key = `${source} ${epoch} ${lane}`;
    const found = this.#lanes.get(key) ?? { upto: 0, ahead: new Set<number>() };
    this.#lanes.set(key, found);
    return found;
  }
}

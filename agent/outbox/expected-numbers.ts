/**
 * Which numbers the store will give: the last that it told, and one for each event that is on its way. With them the main
 * thread writes texts as they will be stored; where one differs after all (an event refused, a loss declared in lane
 * `audit`) the writer puts in its own.
 */
import { type Lane, lanes } from '#agent/domain/lane.ts';
import type { SlotState } from './protocol.ts';

/** For the events of one Job, in their order. */
export interface JobNumbers {
  next(lane: Lane): number;
  /** The Job is answered, and the state that it told is known. */
  settle(): void;
}

export class ExpectedNumbers {
  readonly #inFlight = new Map<Lane, number>(lanes.map((lane) => [lane, 0]));

  forJob(slots: readonly SlotState[], epoch: string): JobNumbers {
    const last = new Map(this.#inFlight);
    for (const slot of slots) if (slot.epoch === epoch) last.set(slot.lane, (last.get(slot.lane) ?? 0) + slot.last);
    const mine = new Map<Lane, number>();
    return {
      next: (lane) => {
        const number = (last.get(lane) ?? 0) + 1;
        last.set(lane, number);
        mine.set(lane, (mine.get(lane) ?? 0) + 1);
        this.#inFlight.set(lane, (this.#inFlight.get(lane) ?? 0) + 1);
        return number;
      },
      settle: () => {
        for (const [lane, count] of mine) this.#inFlight.set(lane, (this.#inFlight.get(lane) ?? 0) - count);
        mine.clear();
      },
    };
  }
}

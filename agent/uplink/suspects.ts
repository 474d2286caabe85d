/**
 * Events that a broker may never take: suspected when they are refused alone, or when the line ends while they are in
 * flight, again and again; found to be poison only when the one behind is taken.
 *
 *   refused, cut: weight -> passed over for once -> the next is taken: poison, set aside and declared
 *                                               '-> the next is refused, too: it was not the event; nothing is given up
 *
 * Alarms and submissions are never passed over. Lives as long as the uplink, since a line ends with each cut.
 */
import type { Lane } from '#agent/domain/lane.ts';
import type { Batch, Position } from './source.ts';

interface Suspect {
  readonly at: Position;
  weight: number;
  isPassedOver: boolean;
}

/** That an event is larger than the broker said it takes needs little proof. */
const weights = { 'too-large': 5, refused: 2, cut: 1 } as const;
const heaviest = 10;
const afterCuts = 2;

export class Suspects {
  readonly #suspects = new Map<Lane, Suspect>();

  /** A batch came back, or the line ended with it as the first in flight. */
  failed(lane: Lane, { epoch, first }: Batch, how: keyof typeof weights): void {
    const suspect = this.#suspects.get(lane);
    if (suspect && suspect.at.epoch === epoch && suspect.at.seq === first) suspect.weight += weights[how];
    else if (suspect?.isPassedOver) {
      suspect.isPassedOver = false;
      suspect.weight = heaviest - weights.refused;
    } else this.#suspects.set(lane, { at: { epoch, seq: first }, weight: weights[how], isPassedOver: false });
  }

  /** @returns the event that is poison, now that another one was taken in its stead */
  taken(lane: Lane, { epoch, first, last }: Batch): Position | undefined {
    const suspect = this.#suspects.get(lane);
    if (!suspect) return undefined;
    const { at, isPassedOver } = suspect;
    const isIt = at.epoch === epoch && first <= at.seq && at.seq <= last;
    if (isIt || isPassedOver) this.#suspects.delete(lane);
    return isPassedOver && !isIt ? at : undefined;
  }

  /** Send one event at a time. */
  isSuspected(lane: Lane): boolean {
    return (this.#suspects.get(lane)?.weight ?? 0) >= afterCuts;
  }

  /** Where to read on, past an event that failed too often; undefined: nowhere else. */
  passOver(lane: Lane): Position | undefined {
    const suspect = this.#suspects.get(lane);
    if (!suspect || suspect.weight < heaviest || lane === 'alarm' || lane === 'submission') return undefined;
    suspect.isPassedOver = true;
    return suspect.at;
  }

  /** There was none behind it to try: it stays the next one. */
  returned(lane: Lane): void {
    const suspect = this.#suspects.get(lane);
    if (suspect) suspect.isPassedOver = false;
  }
}

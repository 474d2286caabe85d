/**
 * What was published in one lane on one connection and no consumer has committed yet (custody `consumer`).
 *
 *   published -> [first..last] -> committed: forgotten
 *                              -> named as missing, and not sent again just now: once more
 */
import type { LaneAck } from '#agent/domain/ack.ts';
import type { Batch } from './source.ts';

export interface Range {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
}

interface Published extends Range {
  sentMonoMs: number;
}

/** What is on its way is named as missing, too: several consumers commit in any order. */
const onItsWayMs = 2_000;
const mostRangesAtOnce = 64;

export class Uncommitted {
  readonly #seen = new Map<string, { readonly upto: number; readonly missing: number }>();
  #published: Published[] = [];

  get count(): number {
    return this.#published.length;
  }

  add({ epoch, first, last }: Range | Batch, monoMs: number): void {
    const before = this.#published.filter((range) => overlaps(range, { epoch, first, last }));
    for (const range of before) range.sentMonoMs = monoMs;
    if (before.length === 0) this.#published.push({ epoch, first, last, sentMonoMs: monoMs });
  }

  clear(): void {
    this.#published = [];
  }

  /** @returns whether the consumer has more than before */
  committed(epoch: string, { upto, missing }: LaneAck): boolean {
    const lacking = missing.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    const before = this.#seen.get(epoch);
    const isProgress = !before || upto - lacking > before.upto - before.missing;
    if (isProgress) this.#seen.set(epoch, { upto, missing: lacking });
    const gaps = missing.map(([first, last]) => ({ epoch, first, last }));
    const isOpen = (range: Published): boolean =>
      range.epoch !== epoch || range.last > upto || gaps.some((gap) => overlaps(range, gap));
    this.#published = this.#published.filter(isOpen);
    return isProgress;
  }

  /** @returns the ranges to send again: those that were not sent a moment ago */
  lacking(epoch: string, { missing }: LaneAck, monoMs: number): readonly Range[] {
    return missing
      .map(([first, last]) => ({ epoch, first, last }))
      .filter((gap) => !this.#published.some((range) => overlaps(range, gap) && monoMs - range.sentMonoMs < onItsWayMs))
      .slice(0, mostRangesAtOnce);
  }
}

export const overlaps = (a: Range, b: Range): boolean => a.epoch === b.epoch && a.first <= b.last && b.first <= a.last;

/**
 * How many events a second come into each lane and leave it, over the last minute.
 *
 *   counters before and after a Job -> one bucket for each five seconds -> sum / time
 */
import type { Lane } from '#agent/domain/lane.ts';
import type { SlotState } from './protocol.ts';

const bucketMs = 5_000;
const buckets = 12;

interface Bucket {
  readonly index: number;
  appended: number;
  left: number;
}

export interface LaneRate {
  /** Events a second. */
  readonly appendedPerSecond: number;
  /** The same: handed over, or given up. */
  readonly leftPerSecond: number;
}

export class LaneRates {
  readonly #kept = new Map<Lane, Bucket[]>();
  readonly #sinceMonoMs: number;

  constructor(monoMs: number) {
    this.#sinceMonoMs = monoMs;
  }

  /** The counters of one store, before and after. */
  changed(before: readonly SlotState[], after: readonly SlotState[], monoMs: number): void {
    for (const [index, slot] of after.entries()) {
      const old = before[index];
      if (!old || old === slot) continue;
      const appended = slot.last - old.last;
      const left = appended - (slot.depth - old.depth);
      if (appended > 0 || left > 0) this.#add(slot.lane, appended, left, Math.floor(monoMs / bucketMs));
    }
  }

  of(lane: Lane, monoMs: number): LaneRate {
    const first = Math.floor(monoMs / bucketMs) - buckets;
    const within = (this.#kept.get(lane) ?? []).filter(({ index }) => index > first);
    // a whole number of buckets, and the one that is being filled
    const covered = Math.min(monoMs - this.#sinceMonoMs, (buckets - 1) * bucketMs + (monoMs % bucketMs));
    const perSecond = (count: number): number => (count * 1_000) / Math.max(1_000, covered);
    return {
      appendedPerSecond: perSecond(within.reduce((sum, { appended }) => sum + appended, 0)),
      leftPerSecond: perSecond(within.reduce((sum, { left }) => sum + left, 0)),
    };
  }

  #add(lane: Lane, appended: number, left: number, index: number): void {
    const kept = this.#kept.get(lane) ?? [];
    const last = kept.at(-1);
    if (last?.index === index) {
      last.appended += appended;
      last.left += left;
      return;
    }
    this.#kept.set(lane, [...kept.filter((bucket) => bucket.index > index - buckets), { index, appended, left }]);
  }
}

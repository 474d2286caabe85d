/** Sets of sequence numbers as ascending ranges that lie apart; both ends are included. */
import type { SeqRange } from './ack.ts';

export type Ranges = readonly SeqRange[];

/** @param numbers ascending, without repetition */
export function rangesOf(numbers: readonly number[]): SeqRange[] {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

/** Any ranges, in any order, as such a set. */
export function union(...sets: readonly Ranges[]): SeqRange[] {
  const merged: [number, number][] = [];
  for (const [first, last] of sets.flat().sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** What is in `from` and not in `taken`. */
export function without(from: Ranges, taken: Ranges): SeqRange[] {
  const left: SeqRange[] = [];
  let index = 0;
  for (const [first, last] of from) {
    let next = first;
    while ((taken[index]?.[1] ?? Infinity) < next) index += 1;
    let ahead = index;
    for (let cut = taken[ahead]; cut && cut[0] <= last; cut = taken[(ahead += 1)]) {
      if (cut[0] > next) left.push([next, cut[0] - 1]);
      next = cut[1] + 1;
    }
    if (next <= last) left.push([next, last]);
  }
  return left;
}

export const countOf = (ranges: Ranges): number => ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

/** At most `most` ranges that hold all of these numbers, and as few others as is simple: the nearest are joined. */
export function coarsen(ranges: Ranges, most: number): Ranges {
  if (ranges.length <= most) return ranges;
  const distances = ranges.slice(1).map(([first], index) => first - (ranges[index]?.[1] ?? 0));
  const limit = distances.toSorted((a, b) => a - b)[ranges.length - most - 1] ?? Infinity;
  const joined: [number, number][] = [];
  for (const [first, last] of ranges) {
    const before = joined.at(-1);
    if (before && first - before[1] <= limit) before[1] = last;
    else joined.push([first, last]);
  }
  return joined;
}

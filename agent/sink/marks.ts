/**
 * How far a lane has come: the pure arithmetic that both databases do under the lane's lock.
 *
 *   committed  1 2 3 . . 6 7 . 9        upto 9, missing 4-5, 8
 *   declared           5 .       11-12  missing 4, 8; ahead 11-12 until something above them arrives
 */
import type { SeqRange } from '#agent/domain/ack.ts';
import { coarsen, type Ranges, rangesOf, union, without } from '#agent/domain/ranges.ts';

export interface Mark {
  /** Highest number that is committed; 0: none. */
  readonly upto: number;
  /** Below `upto`, neither committed nor declared as given up. May hold a committed one where there are very many. */
  readonly missing: Ranges;
  /** Declared as given up, above `upto`. */
  readonly ahead: Ranges;
}

export const emptyMark: Mark = { upto: 0, missing: [], ahead: [] };

/** More holes than this are joined: the device sends some again that were there, which does no harm. */
export const mostRanges = 4_096;

/**
 * @param seqs committed now, ascending, without repetition; some may have been there before
 * @param declared given up by the device, in any order
 */
export function advance(mark: Mark, seqs: readonly number[], declared: Ranges): Mark {
  const upto = Math.max(mark.upto, seqs.at(-1) ?? 0);
  const givenUp = union(mark.ahead, declared);
  const settled = union(rangesOf(seqs), givenUp);
  const fresh: SeqRange[] = upto > mark.upto ? [[mark.upto + 1, upto]] : [];
  const missing = without(union(mark.missing, fresh), settled);
  const ahead = givenUp.flatMap(([first, last]): SeqRange[] =>
    last > upto ? [[Math.max(first, upto + 1), last]] : [],
  );
  return { upto, missing: coarsen(missing, mostRanges), ahead: ahead.slice(0, mostRanges) };
}

/** All up to here is committed or declared. */
export const contiguous = ({ upto, missing }: Mark): number => {
  const first = missing[0];
  return first ? first[0] - 1 : upto;
};

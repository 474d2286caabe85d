/**
 * Checksums over what the store holds: SQLite has none over its database file, and a flipped bit must not become an
 * event that nobody sent, nor a number that was given before.
 *
 *   row:  CRC-32 of the text, begun with a mix of everything else that says which row it is
 *   lane: CRC-32 of its counters
 */
import { crc32 } from 'node:zlib';

export interface RowFacts {
  readonly id: number;
  readonly boot: number;
  readonly monoMs: number;
  readonly keep: number;
}

/** @param text the stored JSON, as text or as its UTF-8 */
export const rowSum = (facts: RowFacts, text: string | Uint8Array): number => crc32(text, seed(facts));

export interface LaneFacts {
  readonly slot: number;
  readonly epoch: string;
  readonly lane: string;
  readonly last: number;
  readonly acked: number;
  readonly depth: number;
  readonly bytes: number;
}

export const laneSum = ({ slot, epoch, lane, last, acked, depth, bytes }: LaneFacts): number =>
  crc32(`${slot} ${epoch} ${lane} ${last} ${acked} ${depth} ${bytes}`);

/** Rows of version 1 have none. */
export const agrees = (stored: unknown, sum: () => number): boolean => stored === null || stored === sum();

/** Fowler, Noll and Vo's prime spreads each fact over all 32 bits. */
function seed({ id, boot, monoMs, keep }: RowFacts): number {
  let mixed = 0x811c9dc5;
  for (const part of [id >>> 0, Math.floor(id / 2 ** 32), boot, monoMs >>> 0, keep]) {
    mixed = Math.imul(mixed ^ part, 0x01000193);
  }
  return mixed >>> 0;
}

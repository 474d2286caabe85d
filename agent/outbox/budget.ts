/**
 * What is given up when there is no room, in which order, and the entry in the ledger for each giving-up.
 *
 *   media -> telemetry -> audit -> event          never: alarm, submission, and the ledger's own events
 *
 * An event displaces only what is not above it: telemetry never costs an event. Alarms and submissions may use the
 * reserve, an eighth of the budget, that the other lanes leave free.
 */
import type { Lane } from '#agent/domain/lane.ts';

export const givingUpOrder: readonly Lane[] = ['media', 'telemetry', 'audit', 'event'];

/** Lanes that are never given up. */
export const isProtected = (lane: Lane): boolean => !givingUpOrder.includes(lane);

export interface Need {
  /** Bytes that must go first; 0 or less: there is room. */
  readonly overBytes: number;
  /** Bytes that go when some must: a little more, so that not every append has to. */
  readonly goalBytes: number;
  /** Lanes that may be touched for it, in order. */
  readonly from: readonly Lane[];
}

/** Room for every lane, so that nothing more needs to be asked. */
export const hasPlenty = (bytes: number, totalBytes: number, maxSizeBytes: number): boolean =>
  totalBytes + bytes <= limitOf(false, maxSizeBytes);

const limitOf = (isReserved: boolean, maxSizeBytes: number): number =>
  isReserved ? maxSizeBytes : maxSizeBytes - Math.floor(maxSizeBytes / 8);

/** @param incoming the lanes and bytes of one append */
export function needOf(incoming: readonly Lane[], bytes: number, totalBytes: number, maxSizeBytes: number): Need {
  const highest = givingUpOrder.findLastIndex((lane) => incoming.includes(lane));
  const anyProtected = incoming.some(isProtected);
  const overBytes = totalBytes + bytes - limitOf(incoming.every(isProtected), maxSizeBytes);
  return {
    overBytes,
    goalBytes: overBytes + Math.min(4 * 1024 * 1024, Math.floor(maxSizeBytes / 64)),
    from: anyProtected ? givingUpOrder : givingUpOrder.slice(0, highest + 1),
  };
}

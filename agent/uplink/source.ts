/** What the uplink needs of an outbox. */
import type { Lane } from '#agent/domain/lane.ts';

/** A place in a lane: older epochs lie before newer ones. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface Batch {
  readonly lane: Lane;
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Perhaps more wait behind it. */
  readonly more: boolean;
}

export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** One (epoch, lane). */
export interface LaneNumbers {
  readonly epoch: string;
  readonly lane: Lane;
  readonly first: number;
  readonly last: number;
  readonly depth: number;
  readonly bytes: number;
}

/** What waits in a lane, over all epochs. */
export interface LaneFigures {
  readonly depth: number;
  readonly bytes: number;
  /** Of the oldest that waits, when it is of this boot. */
  readonly oldestAgeMs: number | undefined;
  /** Events, over the last minute. */
  readonly appendedPerSecond: number;
  readonly leftPerSecond: number;
}

export interface Source {
  readonly epoch: string;
  readonly boot: number;
  readonly slots: readonly LaneNumbers[];
  peek(lane: Lane, after: Position | undefined, limits: BatchLimits): Promise<Batch | undefined>;
  /** Removes everything up to a place, save the ranges in `missing`. */
  ack(lane: Lane, upto: Position, missing?: readonly (readonly [first: number, last: number])[]): Promise<void>;
  /** Removes one event that the broker never takes, and declares it in the drop ledger. */
  setAside(lane: Lane, at: Position): Promise<void>;
  onAppend(listener: (lanes: ReadonlySet<Lane>) => void): () => void;
  /** Events of older epochs came in, before places that were read already. */
  onTakenOver(listener: () => void): () => void;
}

/** The same, with what `up/state` tells of it. */
export interface UplinkSource extends Source {
  readonly state: Readonly<Record<Lane, LaneFigures>>;
}

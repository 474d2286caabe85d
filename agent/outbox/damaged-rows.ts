/** Events whose text is not what was written, and rows that cannot be taken apart. */
export interface DamagedEvents {
  /** Of the first; that of their row when all of it is damaged. */
  readonly id: number;
  readonly bytes: number;
  /** The row, which says no more how many events it holds. */
  readonly isRow: boolean;
}

/** Whoever catches it gives them up, declares them, and tries again. */
export class DamagedRows extends Error {
  readonly events: readonly DamagedEvents[];

  constructor(events: readonly DamagedEvents[]) {
    super(`${events.length} events or rows are damaged.`);
    this.events = events;
  }
}

/** What every bench gives: figures against a limit or a peer, and the median that stands for many rounds. */

/** One figure against what it is held to. */
export interface BenchRow {
  readonly what: string;
  readonly ours: string;
  readonly against: string;
  readonly ratio: number;
  /** Such as `>= 0.95`. */
  readonly goal: string;
  readonly met: boolean;
}

export interface PipelineBenchOptions {
  readonly video: string;
  readonly model?: string;
  readonly rounds: string;
  readonly opencv?: string;
  readonly json?: boolean;
}

export const outboxParts = ['single', 'producers', 'loop', 'growth', 'alarm', 'drain'] as const;

export interface OutboxBenchOptions {
  readonly rounds: string;
  readonly events: string;
  readonly folder?: string;
  readonly only?: readonly (typeof outboxParts)[number][];
  /** Internal: this process runs on a disk that was made slow. */
  readonly slow?: boolean;
  readonly json?: boolean;
}

export interface SinkBenchOptions {
  readonly events: string;
  readonly rounds: string;
  readonly json?: boolean;
}

export interface FleetBenchOptions {
  readonly devices: string;
  readonly seconds: string;
  readonly folder?: string;
  readonly json?: boolean;
}

export interface MemoryBenchOptions {
  readonly video: string;
  readonly model?: string;
  readonly minutes: string;
  readonly json?: boolean;
}

export interface BinaryBenchOptions {
  /** Folder of the binaries. */
  readonly folder: string;
  readonly video: string;
  readonly rounds: string;
  /** Another executable of the same program, to compare its start. */
  readonly peer?: string;
  readonly json?: boolean;
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

/** @returns nearest rank, `part` from 0 to 1 */
export const percentile = (values: readonly number[], part: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};

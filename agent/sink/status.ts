/** What a sink has done and how it is: counted here, read by the command line and the metrics. */
import type { OutpostError } from '#agent/core/errors.ts';
import type { MqttVersion } from '#agent/core/mqtt.ts';
import type { Committed } from './database.ts';

export interface SinkCounts {
  readonly publishes: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  readonly rounds: number;
  readonly acknowledgements: number;
  readonly resent: number;
  readonly garbled: number;
}

export class SinkStatus {
  #counts = {
    publishes: 0,
    stored: 0,
    duplicates: 0,
    conflicts: 0,
    rejected: 0,
    rounds: 0,
    acknowledgements: 0,
    resent: 0,
    garbled: 0,
  };
  /** Publishes that are read and not yet committed, and their bytes. */
  waiting = { publishes: 0, bytes: 0 };
  broker: { readonly version: MqttVersion; readonly shared: boolean } | undefined;
  brokerError: OutpostError | undefined;
  databaseError: OutpostError | undefined;
  /** Told of every committed round: its events and how long it took, in milliseconds. */
  onRound: ((events: number, ms: number) => void) | undefined;

  get counts(): SinkCounts {
    return this.#counts;
  }

  committed(round: Committed, publishes: number, ms: number): void {
    const counts = this.#counts;
    counts.publishes += publishes;
    counts.stored += round.inserted;
    counts.duplicates += round.duplicates;
    counts.conflicts += round.conflicts.length;
    counts.rejected += round.rejected;
    counts.rounds += 1;
    this.databaseError = undefined;
    this.onRound?.(round.inserted + round.duplicates, ms);
  }

  resent(): void {
    this.#counts.resent += 1;
  }

  garbled(): void {
    this.#counts.garbled += 1;
  }

  acknowledged(): void {
    this.#counts.acknowledgements += 1;
  }
}

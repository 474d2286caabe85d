/**
 * Space on the disk that only a full disk may use: a file of zeros that is removed so that the write-ahead log can
 * still grow, and written again when there is room.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const retryMs = 2_000;
const largestBytes = 16 * 1024 * 1024;

export class Reserve {
  readonly #path: string;
  readonly #folder: string;
  /** Its size; the log may grow to half of it. */
  readonly bytes: number;
  #held: boolean;
  #triedMonoMs = Number.NEGATIVE_INFINITY;

  constructor(folder: string, maxSizeBytes: number) {
    this.#folder = folder;
    this.#path = join(folder, 'outbox.reserve');
    this.bytes = Math.min(largestBytes, Math.floor(maxSizeBytes / 16));
    this.#held = existsSync(this.#path);
  }

  release(): void {
    this.#held = false;
    rmSync(this.#path, { force: true });
  }

  /**
   * Takes the space again when four times as much is free; looks at most every two seconds.
   * @returns true when it just did
   */
  restore(monoMs: number): boolean {
    if (this.#held || monoMs - this.#triedMonoMs < retryMs) return false;
    this.#triedMonoMs = monoMs;
    try {
      const { bavail, bsize } = statfsSync(this.#folder);
      if (bavail * bsize < 4 * this.bytes) return false;
      this.#write();
      this.#held = true;
      return true;
    } catch {
      // no room after all: what was written of it goes again
      rmSync(this.#path, { force: true });
      return false;
    }
  }

  #write(): void {
    const file = openSync(this.#path, 'w', 0o640);
    try {
      const zeros = Buffer.alloc(64 * 1024);
      for (let written = 0; written < this.bytes; written += zeros.length) writeSync(file, zeros);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}

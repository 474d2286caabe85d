/** A thread that salvages what was put aside, while the writer thread serves another store. */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { toStoreError } from '#agent/core/sqlite.ts';
import { isSalvaged } from './adopt.ts';
import { storeFile } from './open-store.ts';
import type { FromSalvage } from './protocol.ts';
import { buildSalvaged } from './salvage-store.ts';
import { asFailure } from './store.ts';

export interface SalvageThreadData {
  /** Folder of the store. */
  readonly path: string;
  readonly stores: readonly string[];
  /** Left free on the disk for the writer. */
  readonly keepFreeBytes: number;
}

/** Of this thread alone: everybody else goes first. */
const lowest = 19;

export function runSalvageThread({ path, stores, keepFreeBytes }: SalvageThreadData): void {
  const port = parentPort;
  if (!port) throw new Error('A salvage runs in a thread.');
  const say = (message: FromSalvage): void => port.postMessage(message);
  setPriority(lowest);
  const file = storeFile(path);
  try {
    // it was made, and the disk had no room to join it with the other
    if (isSalvaged(file, stores)) {
      say({ kind: 'complete' });
      return;
    }
    const onTaken = (bytes: number): void => say({ kind: 'taken', bytes });
    // the reserve is the writer's
    buildSalvaged(file, stores, { keepFreeBytes, release: () => undefined, onTaken });
    say({ kind: 'complete' });
  } catch (thrown) {
    say({ kind: 'failed', failure: asFailure(toStoreError(thrown, path)) });
  } finally {
    port.close();
  }
}

/**
 * One agent a store. The lock is SQLite's own on a file beside the store, so it ends with the process that held it,
 * however that ended; who holds it stands in a second file.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { isCorrupt, type Sqlite, openSqlite, sqliteCode } from '#agent/core/sqlite.ts';

export interface HeldStore {
  readonly handle: Sqlite;
  /** The boot in which it was held before, as far as the disk knows; undefined: never, or a power cut came between. */
  readonly bootBefore: string | undefined;
}

/** A store was made in this folder. */
export const isThere = (folder: string): boolean => existsSync(join(folder, 'outbox.lock'));

/**
 * Held until the returned handle is closed.
 * @throws OutpostError `outbox-locked`; SqliteError where the folder cannot be used
 */
export function lockStore(folder: string, bootId: string): HeldStore {
  const holder = join(folder, 'outbox.pid');
  const file = join(folder, 'outbox.lock');
  try {
    return hold(file, holder, bootId);
  } catch (thrown) {
    if (!isCorrupt(thrown)) throw refused(thrown, folder, holder);
  }
  // Nobody holds a file that is no lock.
  rmSync(file, { force: true });
  return hold(file, holder, bootId);
}

function hold(file: string, holder: string, bootId: string): HeldStore {
  const lock = openSqlite(file, { busyMs: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    const bootBefore = holderLine(holder, 1);
    // Not synced: after a power cut it is to be as old as the disk.
    writeFileSync(holder, `${process.pid}\n${bootId}\n`);
    return { handle: lock, bootBefore };
  } catch (thrown) {
    lock.close();
    throw thrown;
  }
}

function refused(thrown: unknown, folder: string, holder: string): unknown {
  if (!sqliteCode(thrown).startsWith('SQLITE_BUSY')) return thrown;
  const pid = Number.parseInt(holderLine(holder, 0) ?? '', 10) || 'unknown';
  return new OutpostError('outbox-locked', `The store in ${folder} is held by process ${pid}.`, {
    context: { path: folder, pid },
    cause: thrown,
  });
}

function holderLine(path: string, line: number): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[line];
  } catch {
    return undefined;
  }
}

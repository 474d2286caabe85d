/**
 * One agent a store. The lock is SQLite's own on a file beside the store, so it ends with the process that held it,
 * however that ended; who holds it stands in a second file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { type Sqlite, openSqlite, sqliteCode } from '#agent/core/sqlite.ts';

/**
 * Held until the returned handle is closed.
 * @throws OutpostError `outbox-locked`; SqliteError where the folder cannot be used
 */
export function lockStore(folder: string): Sqlite {
  const holder = join(folder, 'outbox.pid');
  const lock = openSqlite(join(folder, 'outbox.lock'), { busyMs: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (thrown) {
    lock.close();
    if (!sqliteCode(thrown).startsWith('SQLITE_BUSY')) throw thrown;
    const pid = holderPid(holder);
    throw new OutpostError('outbox-locked', `The store in ${folder} is held by process ${pid}.`, {
      context: { path: folder, pid },
      cause: thrown,
    });
  }
  writeFileSync(holder, `${process.pid}\n`);
  return lock;
}

function holderPid(path: string): number | 'unknown' {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || 'unknown';
  } catch {
    return 'unknown';
  }
}

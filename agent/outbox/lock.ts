/**
 * One agent a store. The lock is SQLite's own on a file beside the store, so it ends with the process that held it,
 * however that ended; who holds it stands in a second file.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { OutpostError } from '#agent/core/errors.ts';
import { isCorrupt, type Sqlite, openSqlite, sqliteCode } from '#agent/core/sqlite.ts';

export interface HeldStore {
  readonly handle: Sqlite;
  /** A power cut may have come since it was held before: the disk knows of another boot, or of none. */
  readonly isOtherBoot: boolean;
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
    const isOtherBoot = wasOtherBoot(read(holder), bootId);
    // Not synced: after a power cut it is to be as old as the disk.
    writeFileSync(holder, `${process.pid}\n${bootLine(bootId)}\n`);
    return { handle: lock, isOtherBoot };
  } catch (thrown) {
    lock.close();
    throw thrown;
  }
}

function refused(thrown: unknown, folder: string, holder: string): unknown {
  if (!sqliteCode(thrown).startsWith('SQLITE_BUSY')) return thrown;
  const pid = Number.parseInt(read(holder) ?? '', 10) || 'unknown';
  return new OutpostError('outbox-locked', `The store in ${folder} is held by process ${pid}.`, {
    context: { path: folder, pid },
    cause: thrown,
  });
}

/** With a checksum: a flipped bit in it must not pass for a power cut. */
const bootLine = (bootId: string): string => `${bootId} ${crc32(bootId)}`;

/**
 * @param text of the file; empty, or zeros, as some file systems have it after a power cut. Damaged it tells nothing, and
 *   least is lost where no power cut is taken for granted
 */
function wasOtherBoot(text: string | undefined, bootId: string): boolean {
  if (!text?.replaceAll('\0', '')) return true;
  const line = text.split('\n')[1] ?? '';
  return line !== bootLine(bootId) && line === bootLine(line.split(' ')[0] ?? '');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

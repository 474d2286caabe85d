/** The door to SQLite: opens a database, and says in Outpost's errors what went wrong with it. */
import Database from 'better-sqlite3';
import type { ErrorCode } from './error-codes.ts';
import { messageOf, OutpostError, systemCode } from './errors.ts';

export type Sqlite = Database.Database;
export type Statement<Parameters extends unknown[] = unknown[], Row = unknown> = Database.Statement<Parameters, Row>;

export interface SqliteOptions {
  readonly readonly?: boolean;
  readonly mustExist?: boolean;
  /** How long to wait for another process's lock. */
  readonly busyMs: number;
}

export const openSqlite = (path: string, options: SqliteOptions): Sqlite =>
  new Database(path, {
    readonly: options.readonly ?? false,
    fileMustExist: options.mustExist ?? false,
    timeout: options.busyMs,
  });

/** The result code such as `SQLITE_FULL`; Node's own (`ENOSPC`) for errors of the file system. */
export const sqliteCode = (thrown: unknown): string => systemCode(thrown) ?? '';

/** The database file itself is damaged, or was never one. */
export const isCorrupt = (thrown: unknown): boolean => /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(thrown));

export const isDiskFull = (thrown: unknown): boolean => /^(SQLITE_FULL|ENOSPC|EDQUOT|EFBIG)/.test(sqliteCode(thrown));

/** A thrown value of this door as an error that says what to do. */
export function toStoreError(thrown: unknown, path: string): OutpostError {
  if (thrown instanceof OutpostError) return thrown;
  const sqlite = sqliteCode(thrown);
  const context = { path, sqlite };
  const as = (code: ErrorCode, hint?: string): OutpostError =>
    new OutpostError(code, `The store cannot be used: ${messageOf(thrown)}.`, {
      context,
      cause: thrown,
      ...(hint ? { hint } : {}),
    });
  if (isDiskFull(thrown)) return as('outbox-full', 'The disk is full. Free space on it; what is stored stays.');
  if (isCorrupt(thrown)) return as('outbox-corrupt');
  if (/^SQLITE_READONLY|^EROFS|^EACCES|^EPERM/.test(sqlite))
    return as(
      'outbox-unavailable',
      'The folder cannot be written. Check its owner, and whether the disk is read-only.',
    );
  if (/^SQLITE_CANTOPEN|^ENOENT|^ENOTDIR/.test(sqlite))
    return as('outbox-unavailable', 'The folder is missing or cannot be opened. Check storage.path.');
  if (sqlite === '') return as('internal');
  return as('outbox-unavailable');
}

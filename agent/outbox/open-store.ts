/**
 * From a folder to a store that can be trusted, in the writer thread.
 *
 *   lock -> open, check --damaged--> put aside, begin anew, take over what can be read, declare the rest, keep it
 *        -> who am I: another device or machine begins a new epoch, another boot counts one up
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { isCorrupt, type Sqlite, sqliteCode } from '#agent/core/sqlite.ts';
import { identify } from './identity.ts';
import { type HeldStore, isThere, lockStore } from './lock.ts';
import { cutLog, foreseeRecovery, stretchLog } from './log-file.ts';
import type { Opened, Salvaged, WriterOptions } from './protocol.ts';
import { putAside } from './put-aside.ts';
import { Reserve } from './reserve.ts';
import { salvagePutAside } from './salvage-store.ts';
import { hasOurTables, openStoreFile } from './schema.ts';
import { Slots } from './slots.ts';
import { Store } from './store.ts';
import { agrees, type LaneFacts, laneSum } from './sums.ts';

export interface OpenedStore {
  readonly store: Store;
  readonly opened: Opened;
  readonly close: () => void;
}

const hasContent = (file: string): boolean => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;

export const storeFile = (folder: string): string => join(folder, 'outbox.db');

/** Larger stores are not read through at every start, only after they were found damaged. */
const checkedBytes = 256 * 1024 * 1024;
const smallTables = ['meta', 'lane'];

/** @throws OutpostError, SqliteError or a system error when the store cannot be opened at all */
export function openStore(options: WriterOptions): OpenedStore {
  if (options.isReopening && !isThere(options.path)) {
    throw new OutpostError('outbox-unavailable', 'The folder of the store is gone, or its disk is not mounted.', {
      context: { path: options.path },
      hint: 'Mount the disk. To begin a new store in an empty folder, start the agent again.',
    });
  }
  const isGone = isThere(options.path) && !hasContent(storeFile(options.path));
  mkdirSync(options.path, { recursive: true, mode: 0o750 });
  const lock = lockStore(options.path, options.bootId);
  try {
    return openLocked(options, lock, isGone);
  } catch (thrown) {
    lock.handle.close();
    throw thrown;
  }
}

function openLocked(options: WriterOptions, lock: HeldStore, isGone: boolean): OpenedStore {
  const file = storeFile(options.path);
  if (options.confirmed) cutLog(file, options.confirmed);
  const reserve = new Reserve(options.path, options.maxSizeBytes);
  const { db, isCutShort, salvaged } = openChecked(file, options, { reserve, isOtherBoot: lock.isOtherBoot });
  try {
    const logPages = Math.max(64, Math.min(1_000, Math.floor(reserve.bytes / 2 / 8192)));
    db.pragma(`wal_autocheckpoint = ${logPages}`);
    const { origin, slots } = db.transaction(() => begin(db, options, isCutShort)).immediate();
    stretchLog(file, logPages);
    const store = new Store(db, slots, { ...options, origin, reserve });
    const { epoch, boot } = origin;
    return {
      store,
      opened: { epoch, boot, slots: slots.state(), salvaged, isGone: isGone && !salvaged },
      close: () => {
        db.close();
        lock.handle.close();
      },
    };
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** @param isCutShort its last commit may have been acknowledged: its numbers are not given again */
function begin(db: Sqlite, options: WriterOptions, isCutShort: boolean) {
  const origin = identify(db, options, { bootBefore: 0, isCutShort });
  const slots = new Slots(db, origin);
  slots.begin();
  slots.persist();
  return { origin, slots };
}

interface Checked {
  readonly db: Sqlite;
  readonly isCutShort: boolean;
  readonly salvaged: Salvaged | undefined;
}

/**
 * Commits behind the end of recovery: several, or one in the same boot, were acknowledged, and the log is damaged. One
 * after a power cut was most likely being written; it is cut off, so that no later start takes it for damage.
 */
function openChecked(
  file: string,
  options: WriterOptions,
  { reserve, isOtherBoot }: { readonly reserve: Reserve; readonly isOtherBoot: boolean },
): Checked {
  const salvage = (): Salvaged | undefined => salvagePutAside(file, options, reserve);
  const before = salvage();
  const foreseen = foreseeRecovery(file);
  const beyond = foreseen?.commitsBeyond ?? 0;
  // SQLite removes the log of a file that is empty
  const isAlone = foreseen?.isEmpty === false && !hasContent(file);
  if (!isAlone && (beyond === 0 || (beyond === 1 && isOtherBoot))) {
    if (foreseen && beyond === 1) cutLog(file, foreseen.end);
    const db = openSound(file, options.suspect);
    if (db) return { db, isCutShort: beyond > 0, salvaged: before };
  }
  putAside(file, options.now.wallMs);
  const salvaged = salvage();
  return { db: openStoreFile(file), isCutShort: false, salvaged };
}

/** @returns undefined when it is damaged */
function openSound(file: string, suspect: boolean): Sqlite | undefined {
  try {
    const db = openStoreFile(file);
    if (isSound(db, file, suspect)) return db;
    db.close();
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
  }
  return undefined;
}

/** Also a database that is not ours: its tables are in the way, or missing. */
const isDamage = (thrown: unknown): boolean =>
  thrown instanceof OutpostError
    ? thrown.code === 'outbox-corrupt'
    : isCorrupt(thrown) || sqliteCode(thrown) === 'SQLITE_ERROR';

function isSound(db: Sqlite, file: string, suspect: boolean): boolean {
  try {
    if (!hasOurTables(db) || !areLanesSound(db)) return false;
    const isLarge = !suspect && statSync(file).size > checkedBytes;
    const checked = isLarge ? smallTables.map((table) => `integrity_check(${table})`) : ['integrity_check(1)'];
    return checked.every((check) => db.pragma(check, { simple: true }) === 'ok');
  } catch (thrown) {
    if (isDamage(thrown)) return false;
    db.close();
    throw thrown;
  }
}

/** A counter that went back would give a number twice. */
const areLanesSound = (db: Sqlite): boolean =>
  db
    .prepare<[], LaneFacts & { sum: number | null }>(
      'SELECT slot, epoch, lane, last_seq AS last, acked_seq AS acked, depth, bytes, sum FROM lane',
    )
    .all()
    .every((row) => agrees(row.sum, () => laneSum(row)));

/**
 * From a folder to a store that can be trusted, in the writer thread.
 *
 *   lock -> open, check --damaged--> put aside, begin anew
 *        -> put aside: a small one is salvaged at once, a large one by a thread of its own; a salvaged one is adopted
 *        -> who am I: another device or machine begins a new epoch, another boot counts one up
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { isCorrupt, isDiskFull, type Sqlite, sqliteCode, toStoreError } from '#agent/core/sqlite.ts';
import { adopt, discardSalvaged, isSalvaged, keepHeld, slotsBelow } from './adopt.ts';
import { identify, type Past } from './identity.ts';
import { type HeldStore, isThere, lockStore } from './lock.ts';
import { cutLog, foreseeRecovery, stretchLog } from './log-file.ts';
import type { Opened, Salvaged, Salvaging, WriterOptions } from './protocol.ts';
import { bytesOf, finishPuttingAside, putAside, storesPutAside } from './put-aside.ts';
import { Reserve } from './reserve.ts';
import { bootOfDamaged } from './salvage.ts';
import { buildSalvaged } from './salvage-store.ts';
import { countSql } from './runs.ts';
import { hasOurTables, idOf, openStoreFile, seqOf } from './schema.ts';
import { Slots } from './slots.ts';
import { asFailure, Store } from './store.ts';
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
/** For the first commits of a store that was salvaged at once. */
const freeBytes = 1024 * 1024;

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
  const { db, isCutShort, salvaged, salvaging } = takeUp(file, options, {
    reserve,
    ...openChecked(file, options, lock.isOtherBoot),
  });
  try {
    const logPages = Math.max(64, Math.min(1_000, Math.floor(reserve.bytes / 2 / 8192)));
    db.pragma(`wal_autocheckpoint = ${logPages}`);
    const past = { bootBefore: Math.max(0, ...(salvaging?.stores ?? []).map(bootOfDamaged)), isCutShort };
    const { origin, slots } = db.transaction(() => begin(db, options, past, salvaging ? slotsBelow : 0)).immediate();
    stretchLog(file, logPages);
    const store = new Store(db, slots, { ...options, origin, reserve });
    const { epoch, boot } = origin;
    return {
      store,
      opened: { epoch, boot, slots: slots.state(), salvaged, salvaging, isGone: isGone && !salvaged && !salvaging },
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

function begin(db: Sqlite, options: WriterOptions, past: Past, slotsAbove: number) {
  const origin = identify(db, options, past);
  const slots = new Slots(db, origin, slotsAbove);
  slots.begin();
  slots.persist();
  return { origin, slots };
}

interface Checked {
  readonly db: Sqlite;
  /** Its last commit may have been acknowledged: its numbers are not given again. */
  readonly isCutShort: boolean;
}

/**
 * The store, or a new one after it was put aside.
 *
 * Commits behind the end of recovery: several, or one in the same boot, were acknowledged, and the log is damaged. One
 * after a power cut was most likely being written; it is cut off, so that no later start takes it for damage.
 */
function openChecked(file: string, options: WriterOptions, isOtherBoot: boolean): Checked {
  finishPuttingAside(file);
  const foreseen = foreseeRecovery(file);
  const beyond = foreseen?.commitsBeyond ?? 0;
  // SQLite removes the log of a file that is empty
  const isAlone = foreseen?.isEmpty === false && !hasContent(file);
  if (!isAlone && (beyond === 0 || (beyond === 1 && isOtherBoot))) {
    if (foreseen && beyond === 1) cutLog(file, foreseen.end);
    const db = openSound(file, options.suspect);
    if (db) return { db, isCutShort: beyond > 0 };
  }
  putAside(file, options.now.wallMs);
  return { db: openStoreFile(file), isCutShort: false };
}

interface TakenUp extends Checked {
  readonly salvaged: Salvaged | undefined;
  readonly salvaging: Salvaging | undefined;
}

/** What was put aside: held already, salvaged now, or to be salvaged while this one serves, which goes on whatever happens. */
function takeUp(file: string, options: WriterOptions, checked: Checked & { readonly reserve: Reserve }): TakenUp {
  const { db, isCutShort, reserve } = checked;
  const stores = storesPutAside(file);
  if (stores.length === 0) return { db, isCutShort, salvaged: undefined, salvaging: undefined };
  const held = keepHeld(file, db, stores);
  if (held) return { db, isCutShort, salvaged: held, salvaging: undefined };
  const bytes = bytesOf(stores);
  try {
    if (!isSalvaged(file, stores)) {
      discardSalvaged(file);
      if (bytes > options.salvageFirstBytes)
        return { db, isCutShort, salvaged: undefined, salvaging: { stores, bytes } };
      buildSalvaged(file, stores, { keepFreeBytes: freeBytes, release: () => reserve.release() });
    }
    db.close();
    const salvaged = adopt(file, stores, options, isCutShort);
    return { db: openStoreFile(file), isCutShort: false, salvaged, salvaging: undefined };
  } catch (thrown) {
    // a disk that is full may have room another time
    if (!isDiskFull(thrown)) discardSalvaged(file);
    const failure = asFailure(toStoreError(thrown, options.path));
    const again = db.open ? db : openStoreFile(file);
    return { db: again, isCutShort, salvaged: undefined, salvaging: { stores, bytes, failure } };
  }
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
    if (!hasOurTables(db) || !areLanesSound(db) || !areRowsInPlace(db)) return false;
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

/** A row whose number is damaged lies outside of its lane more often than not: then it would never be read. */
function areRowsInPlace(db: Sqlite): boolean {
  const lanes = db.prepare<[], LaneEnds>('SELECT slot, last_seq AS last, depth FROM lane ORDER BY slot').all();
  const between = db.prepare<[number, number], number>('SELECT 1 FROM outbox WHERE id BETWEEN ? AND ? LIMIT 1').pluck();
  const newest = db.prepare<[number, number], { id: number; count: number }>(
    `SELECT id, ${countSql} AS count FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1`,
  );
  let free = Number.MIN_SAFE_INTEGER;
  for (const { slot, last, depth } of lanes) {
    const row = newest.get(idOf(slot, 1), idOf(slot + 1, 0) - 1);
    const end = row ? seqOf(row.id) + row.count - 1 : 0;
    if (between.get(free, idOf(slot, 0)) !== undefined || depth > 0 !== (row !== undefined) || end > last) return false;
    free = idOf(slot + 1, 0);
  }
  return between.get(free, Number.MAX_SAFE_INTEGER) === undefined;
}

interface LaneEnds {
  readonly slot: number;
  readonly last: number;
  readonly depth: number;
}

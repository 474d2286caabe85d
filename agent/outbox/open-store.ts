/**
 * From a folder to a store that can be trusted, in the writer thread.
 *
 *   lock -> open, check --damaged--> keep aside, begin anew, take over what can be read, declare the rest
 *        -> who am I: another device or machine begins a new epoch, another boot counts one up
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { isCorrupt, type Sqlite, sqliteCode } from '#agent/core/sqlite.ts';
import { type HeldStore, isThere, lockStore } from './lock.ts';
import { commitsBeyondRecovery, cutLog, mendDatabaseHead, mendLog, stretchLog } from './log-file.ts';
import type { Opened, WriterOptions } from './protocol.ts';
import { Reserve } from './reserve.ts';
import { Rows } from './rows.ts';
import { type Damaged, openDamaged } from './salvage.ts';
import { openStoreFile } from './schema.ts';
import { Slots } from './slots.ts';
import { Store } from './store.ts';
import { agrees, type LaneFacts, laneSum } from './sums.ts';
import { declareGaps, takeOver } from './take-over.ts';

export interface OpenedStore {
  readonly store: Store;
  readonly opened: Opened;
  readonly close: () => void;
}

export const storeFile = (folder: string): string => join(folder, 'outbox.db');

/** Larger stores are not read through at every start, only after they were found damaged. */
const checkedBytes = 256 * 1024 * 1024;

/** @throws OutpostError, SqliteError or a system error when the store cannot be opened at all */
export function openStore(options: WriterOptions): OpenedStore {
  if (options.isReopening && !isThere(options.path)) {
    throw new OutpostError('outbox-unavailable', 'The folder of the store is gone, or its disk is not mounted.', {
      context: { path: options.path },
      hint: 'Mount the disk. To begin a new store in an empty folder, start the agent again.',
    });
  }
  mkdirSync(options.path, { recursive: true, mode: 0o750 });
  const lock = lockStore(options.path, options.bootId);
  try {
    return openLocked(options, lock);
  } catch (thrown) {
    lock.handle.close();
    throw thrown;
  }
}

function openLocked(options: WriterOptions, lock: HeldStore): OpenedStore {
  const file = storeFile(options.path);
  if (options.confirmed) cutLog(file, options.confirmed);
  const reserve = new Reserve(options.path, options.maxSizeBytes);
  const { db, keptAside, isCutShort } = openChecked(file, options, lock.bootBefore === options.bootId);
  const damaged = keptAside === undefined ? undefined : openDamaged(keptAside);
  try {
    const logPages = Math.max(64, Math.min(1_000, Math.floor(reserve.bytes / 2 / 8192)));
    db.pragma(`wal_autocheckpoint = ${logPages}`);
    const begun = db.transaction(() => begin(db, options, { damaged, isCutShort })).immediate();
    stretchLog(file, logPages);
    const store = new Store(db, begun.slots, { ...options, origin: begun.origin, reserve });
    const { epoch, boot } = begun.origin;
    return {
      store,
      opened: { epoch, boot, slots: begun.slots.state(), keptAside, salvaged: begun.salvaged },
      close: () => {
        db.close();
        lock.handle.close();
      },
    };
  } catch (thrown) {
    db.close();
    throw thrown;
  } finally {
    damaged?.close();
  }
}

interface Past {
  readonly damaged: Damaged | undefined;
  /** Its last commit may have been acknowledged: its numbers are not given again. */
  readonly isCutShort: boolean;
}

function begin(db: Sqlite, options: WriterOptions, { damaged, isCutShort }: Past) {
  const origin = identify(db, options, { bootBefore: damaged?.boot ?? 0, isCutShort });
  const slots = new Slots(db, origin);
  const taken = damaged ? takeOver(db, slots, damaged) : undefined;
  slots.begin();
  if (taken) declareGaps(db, taken, new Rows(db, slots, origin), options.now);
  slots.persist();
  return { origin, slots, salvaged: taken?.events ?? 0 };
}

function identify(
  db: Sqlite,
  { device, bootId, machineId, now }: WriterOptions,
  { bootBefore, isCutShort }: { readonly bootBefore: number; readonly isCutShort: boolean },
) {
  const get = db.prepare('SELECT value FROM meta WHERE key = ?').pluck();
  const read = (key: string): string | undefined => get.get(key) as string | undefined;
  const set = db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value');
  const isSame = !isCutShort && read('device') === device && read('machine_id') === machineId;
  const epoch = (isSame ? read('epoch') : undefined) ?? randomBytes(16).toString('hex');
  const bootSoFar = Number(read('boot') ?? bootBefore);
  const boot = read('boot_id') === bootId ? bootSoFar : bootSoFar + 1;
  if (read('epoch') !== epoch) set.run('epoch_began', new Date(Math.max(0, now.wallMs)).toISOString());
  for (const [key, value] of Object.entries({ device, machine_id: machineId, epoch, boot_id: bootId, boot })) {
    if (read(key) !== String(value)) set.run(key, String(value));
  }
  return { device, epoch, boot };
}

interface Checked {
  readonly db: Sqlite;
  readonly keptAside: string | undefined;
  readonly isCutShort: boolean;
}

/**
 * Commits behind the end of recovery: several, or one in the same boot, were acknowledged, and the log is damaged. One
 * after a power cut was most likely being written.
 */
function openChecked(file: string, options: WriterOptions, isSameBoot: boolean): Checked {
  const beyond = commitsBeyondRecovery(file);
  if (beyond > 1 || (beyond === 1 && isSameBoot)) {
    const keptAside = keepAside(file, options.now.wallMs);
    mendLog(keptAside);
    return { db: openStoreFile(file), keptAside, isCutShort: false };
  }
  try {
    const db = openStoreFile(file);
    if (isSound(db, file, options.suspect)) return { db, keptAside: undefined, isCutShort: beyond > 0 };
    db.close();
  } catch (thrown) {
    if (thrown instanceof OutpostError || !isDamage(thrown)) throw thrown;
  }
  const keptAside = keepAside(file, options.now.wallMs);
  return { db: openStoreFile(file), keptAside, isCutShort: false };
}

/** Also a database that is not ours: its tables are in the way, or missing. */
const isDamage = (thrown: unknown): boolean => isCorrupt(thrown) || sqliteCode(thrown) === 'SQLITE_ERROR';

function isSound(db: Sqlite, file: string, suspect: boolean): boolean {
  try {
    if (!areLanesSound(db)) return false;
    db.prepare('SELECT id, boot, mono_ms, expires_mono_ms, keep, json, sum FROM outbox LIMIT 1').all();
    db.prepare('SELECT key, value FROM meta').all();
    if (!suspect && statSync(file).size > checkedBytes) return true;
    return db.pragma('quick_check(1)', { simple: true }) === 'ok';
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

/** Under a name of its own, and so that it can be read. */
function keepAside(file: string, wallMs: number): string {
  const stamp = new Date(Math.max(0, wallMs)).toISOString().replace(/[-:]|\.\d+/g, '');
  let aside = file.replace(/\.db$/, `.damaged-${stamp}.db`);
  for (let n = 2; existsSync(aside); n += 1) aside = file.replace(/\.db$/, `.damaged-${stamp}-${n}.db`);
  renameSync(file, aside);
  if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${aside}-wal`);
  rmSync(`${file}-shm`, { force: true });
  mendDatabaseHead(aside);
  return aside;
}

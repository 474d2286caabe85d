/**
 * Joins a complete salvaged store with the one that served meanwhile, and puts it in its place. A process that ends in the
 * middle of it does it again, or finds that it was done.
 *
 *   outbox.salvaged.db + lanes, rows, ledger of outbox.db + declarations of what is missing
 *     --commit, rename--> outbox.db      outbox.salvaging-….db --rename--> outbox.damaged-….db
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { openSqlite, type Sqlite } from '#agent/core/sqlite.ts';
import { identify } from './identity.ts';
import type { Salvaged, WriterOptions } from './protocol.ts';
import { keep } from './put-aside.ts';
import { Rows } from './rows.ts';
import { readNote, type SalvageNote, salvagedFile, sync, writeNote } from './salvage-store.ts';
import { Slots } from './slots.ts';

/**
 * A store that serves while others are salvaged has slots above this: those that are salvaged come before it, so that
 * older epochs go first.
 */
export const slotsBelow = 4_096;

/** A complete one is there, of these stores and no others; one that is damaged itself is none. */
export function isSalvaged(file: string, stores: readonly string[]): boolean {
  const path = salvagedFile(file);
  if (!existsSync(path)) return false;
  const db = openSqlite(path, { busyMs: 0 });
  try {
    return isOf(readNote(db), stores);
  } catch {
    // it is made anew
    return false;
  } finally {
    db.close();
  }
}

/** Whatever was salvaged so far: of other stores than there are now, or damaged itself. */
export function discardSalvaged(file: string): void {
  rmSync(salvagedFile(file), { force: true });
  rmSync(`${salvagedFile(file)}-journal`, { force: true });
}

/**
 * @param file of the store that serves, which nobody else writes
 * @param isCutShort its last commit may have been acknowledged: its numbers are not given again
 * @throws SqliteError, OutpostError or a system error when it was not done; the store that serves stays as it is
 */
export function adopt(file: string, stores: readonly string[], options: WriterOptions, isCutShort: boolean): Salvaged {
  const path = salvagedFile(file);
  const db = openSqlite(path, { busyMs: 0, mustExist: true });
  let events = 0;
  try {
    db.pragma('journal_mode = DELETE');
    db.pragma('synchronous = FULL');
    db.prepare('ATTACH ? AS live').run(file);
    events = db.transaction(() => joinOnce(db, options, isCutShort)).immediate();
  } finally {
    db.close();
  }
  // what its log held was read, and it belongs to no other
  rmSync(`${file}-wal`, { force: true });
  rmSync(`${file}-shm`, { force: true });
  renameSync(path, file);
  sync(dirname(file));
  return keepAll(file, stores, events);
}

/**
 * Stores that this one holds what could be read of get their last names; a process that did so may have ended in between.
 *
 * @returns undefined when it does not hold them
 */
export function keepHeld(file: string, db: Sqlite, stores: readonly string[]): Salvaged | undefined {
  const note = readNote(db);
  if (!note || !stores.every((store) => note.of.includes(basename(store)))) return undefined;
  return keepAll(file, stores, note.events);
}

/** A process that ended after it, and before the file had its name, leaves nothing to do. @returns events that were salvaged */
function joinOnce(db: Sqlite, options: WriterOptions, isCutShort: boolean): number {
  const note = readNote(db);
  if (!note) throw new OutpostError('outbox-corrupt', 'A salvaged store does not say of what it was made.');
  const served = JSON.stringify(db.prepare('SELECT * FROM live.lane ORDER BY slot').all());
  if (note.joined === served) return note.events;
  if (note.joined !== undefined) throw new OutpostError('outbox-corrupt', 'A salvaged store is older than the other.');
  for (const table of ['lane', 'outbox', 'dropped']) db.exec(`INSERT INTO main.${table} SELECT * FROM live.${table}`);
  db.exec('INSERT OR REPLACE INTO main.meta SELECT * FROM live.meta');
  const origin = identify(db, options, { bootBefore: note.boot, isCutShort });
  const slots = new Slots(db, origin);
  slots.begin();
  const rows = new Rows(db, slots, origin);
  for (const { slot: number, first, last, count, reason } of note.gaps) {
    const slot = slots.at(number);
    if (slot) rows.declare(slot, { first, last, count, bytes: 0 }, reason, options.now);
  }
  rows.flush();
  slots.persist();
  writeNote(db, { ...note, gaps: [], joined: served });
  return note.events;
}

const isOf = (note: SalvageNote | undefined, stores: readonly string[]): boolean =>
  note?.of.join('/') === stores.map((store) => basename(store)).join('/');

function keepAll(file: string, stores: readonly string[], events: number): Salvaged {
  const kept = stores.map(keep);
  return { keptAside: kept.at(-1) ?? file, events };
}

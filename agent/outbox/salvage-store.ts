/**
 * Makes a new store of what can be read of those that were put aside. It has its name only when it is complete, so a
 * process that ends in the middle of it begins again.
 *
 *   outbox.salvaging-….db --rows, gaps declared--> outbox.new.db --fsync, rename--> outbox.db
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDiskFull, openSqlite } from '#agent/core/sqlite.ts';
import { type Lane, lanes as allLanes } from '#agent/domain/lane.ts';
import { identify } from './identity.ts';
import type { Salvaged, WriterOptions } from './protocol.ts';
import { keep, storesPutAside } from './put-aside.ts';
import type { Reserve } from './reserve.ts';
import { Rows } from './rows.ts';
import { countSql } from './runs.ts';
import { type Damaged, openDamaged } from './salvage.ts';
import { openNewStoreFile } from './schema.ts';
import { Slots } from './slots.ts';
import { declareMissing, takeOver } from './take-over.ts';
import { TakenRows } from './taken-rows.ts';

/** For the first commits of the new store. */
const freeBytes = 1024 * 1024;

/** @throws SqliteError or a system error when there is no new store; what was put aside stays as it is */
export function salvagePutAside(file: string, options: WriterOptions, reserve: Reserve): Salvaged | undefined {
  const stores = storesPutAside(file);
  if (stores.length === 0) return undefined;
  if (!existsSync(file)) build(file, stores, options, reserve);
  const kept = stores.map(keep);
  return { keptAside: kept.at(-1) ?? file, events: eventsIn(file) };
}

/** A full disk: the reserve first, then without the rows of the lanes that are given up first. */
function build(file: string, stores: readonly string[], options: WriterOptions, reserve: Reserve): void {
  const fresh = join(dirname(file), 'outbox.new.db');
  const fewer = allLanes.map((_lane, index) => allLanes.slice(0, allLanes.length - 1 - index));
  for (const lanes of [allLanes, allLanes, ...fewer]) {
    rmSync(fresh, { force: true });
    try {
      fill(fresh, stores, options, lanes);
      sync(fresh);
      renameSync(fresh, file);
      sync(dirname(file));
      return;
    } catch (thrown) {
      rmSync(fresh, { force: true });
      if (!isDiskFull(thrown) || lanes.length === 0) throw thrown;
      reserve.release();
    }
  }
}

function fill(fresh: string, stores: readonly string[], options: WriterOptions, lanes: readonly Lane[]): void {
  const opened: Damaged[] = [];
  const db = openNewStoreFile(fresh);
  try {
    for (const store of stores) opened.push(openDamaged(store));
    db.exec('BEGIN');
    const bootBefore = Math.max(...opened.map(({ boot }) => boot));
    const origin = identify(db, options, { bootBefore, isCutShort: false });
    const slots = new Slots(db, origin);
    const taken = new TakenRows(db);
    const missing = opened.flatMap((damaged) => takeOver(taken, slots, damaged, lanes));
    slots.begin();
    const rows = new Rows(db, slots, origin);
    declareMissing(missing, rows, { now: options.now, lanes });
    rows.flush();
    slots.persist();
    db.exec('COMMIT');
  } finally {
    db.close();
    for (const damaged of opened) damaged.close();
  }
  const { bavail, bsize } = statfsSync(dirname(fresh));
  if (bavail * bsize < freeBytes) throw Object.assign(new Error('No room is left for the log.'), { code: 'ENOSPC' });
}

/** All but the declarations, which the ledger counts too. */
function eventsIn(file: string): number {
  const db = openSqlite(file, { busyMs: 0, readonly: true });
  try {
    const count = `SELECT (SELECT coalesce(sum(${countSql}), 0) FROM outbox) - (SELECT count(*) FROM dropped)`;
    return Number(db.prepare(count).pluck().get());
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** What a device's store says of its lanes, read beside a running agent or from a copy; nothing in it is changed. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { openSqlite, type Sqlite } from '#agent/core/sqlite.ts';
import { isLane } from '#agent/domain/lane.ts';
import type { Declared } from './database.ts';
import { type Ranges, union } from '#agent/domain/ranges.ts';
import type { LaneKey } from './received.ts';

export interface StoredLane {
  readonly key: LaneKey;
  /** Highest number that was given. */
  readonly last: number;
  /** Numbers that wait on the device. */
  readonly waiting: Ranges;
  readonly declared: readonly Declared[];
}

const busyMs = 5_000;
/** The tables of these versions are known; agent/outbox/README.md documents them. */
const newestVersion = 3;
const slotSize = 2 ** 40;

/** @throws OutpostError `verify-store`, `outbox-newer` */
export function readDeviceStore(folder: string): readonly StoredLane[] {
  const path = join(folder, 'outbox.db');
  if (!existsSync(path)) throw new OutpostError('verify-store', undefined, { context: { folder } });
  const salvaging = readdirSync(folder).find((name) => /^outbox\.salvaging-.*\.db$/.test(name));
  if (salvaging !== undefined) {
    throw new OutpostError('verify-store', `What can be read of ${salvaging} has not been taken over yet.`, {
      context: { folder },
      hint: 'Leave the agent running until its health no longer says outbox-salvaging, then verify again.',
    });
  }
  let db: Sqlite | undefined;
  try {
    db = openSqlite(path, { busyMs, readonly: true, mustExist: true });
    const version = Number(db.pragma('user_version', { simple: true }));
    if (version > newestVersion) {
      throw new OutpostError('outbox-newer', undefined, { context: { path, version, known: newestVersion } });
    }
    const open = db;
    return open.transaction(() => readLanes(open, version))();
  } catch (thrown) {
    if (thrown instanceof OutpostError) throw thrown;
    throw new OutpostError('verify-store', `${path}: ${messageOf(thrown)}`, { context: { folder }, cause: thrown });
  } finally {
    db?.close();
  }
}

function readLanes(db: Sqlite, version: number): StoredLane[] {
  const device: unknown = db.prepare("SELECT value FROM meta WHERE key = 'device'").pluck().get();
  if (typeof device !== 'string') throw new Error('it does not say which device');
  const rows = db.prepare('SELECT slot, epoch, lane, last_seq FROM lane ORDER BY slot').all() as LaneRow[];
  const count = version < 3 ? '1' : 'coalesce(octet_length(parts) / 8, 1)';
  const runs = db.prepare(`SELECT id, ${count} FROM outbox WHERE id BETWEEN ? AND ? ORDER BY id`).raw();
  const ledger = db.prepare('SELECT first_seq, last_seq, count FROM dropped WHERE slot = ?').raw();
  return rows.flatMap(({ slot, epoch, lane, last_seq: last }) => {
    if (!isLane(lane) || last === 0) return [];
    const waiting = runs.all(slot * slotSize, (slot + 1) * slotSize - 1) as [id: number, count: number][];
    return [
      {
        key: { device, epoch, lane },
        last,
        waiting: union(waiting.map(([id, events]) => [id - slot * slotSize, id - slot * slotSize + events - 1])),
        declared: ledger.all(slot) as Declared[],
      },
    ];
  });
}

interface LaneRow {
  readonly slot: number;
  readonly epoch: string;
  readonly lane: string;
  readonly last_seq: number;
}

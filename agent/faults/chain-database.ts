/** Where a chain's sink writes, and how a test looks into it: a file, or a PostgreSQL of its own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openSqlite } from '#agent/core/sqlite.ts';
import type { Postgres } from '#agent/testing/postgres.ts';

export interface StoredRow {
  readonly epoch: string;
  readonly lane: string;
  readonly seq: string;
  readonly type: string;
  /** JSON text. */
  readonly data: string;
}

export interface ChainDatabase {
  readonly url: string;
  /** Every row of `outpost_event`; none while the tables are not there. */
  rows(): readonly StoredRow[];
  /** How many. */
  count(): number;
}

const from = 'FROM outpost_event JOIN outpost_lane ON outpost_lane.id = lane_id';
const columns = 'epoch, lane, CAST(seq AS text) AS seq, type, data';

export function sqliteDatabase(folder: string): ChainDatabase {
  const file = join(folder, 'sink.db');
  const rows = (): StoredRow[] => {
    if (!existsSync(file)) return [];
    const db = openSqlite(file, { busyMs: 10_000, readonly: true });
    try {
      // the sink has just made the file
      if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'outpost_dropped'").get() === undefined) return [];
      return db.prepare<[], StoredRow>(`SELECT ${columns} ${from}`).all();
    } finally {
      db.close();
    }
  };
  return { url: `sqlite:${file}`, rows, count: () => rows().length };
}

/** @param server may be restarted meanwhile: what cannot be asked counts as nothing yet */
export function postgresDatabase(server: Postgres): ChainDatabase {
  const isThere = (): boolean => server.query('postgres', "SELECT to_regclass('outpost_dropped') IS NOT NULL") === 't';
  return {
    url: server.url(),
    rows() {
      if (!isThere()) return [];
      const text = server.query(
        'postgres',
        `SELECT json_build_array(epoch, lane, seq::text, type, data::text) ${from}`,
      );
      return text.split('\n').flatMap((line): StoredRow[] => {
        if (line === '') return [];
        const [epoch = '', lane = '', seq = '', type = '', data = ''] = JSON.parse(line) as string[];
        return [{ epoch, lane, seq, type, data }];
      });
    },
    count() {
      try {
        return isThere() ? Number(server.query('postgres', 'SELECT count(*) FROM outpost_event')) : 0;
      } catch {
        return 0;
      }
    },
  };
}

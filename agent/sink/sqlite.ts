/**
 * The sink's database in one SQLite file: for one machine, a trial, a test. The same tables and marks as in PostgreSQL;
 * a transaction is short and runs in this thread.
 */
import { statSync } from 'node:fs';
import { isCorrupt, isDiskFull, openSqlite, type Sqlite, sqliteCode } from '#agent/core/sqlite.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { isLane } from '#agent/domain/lane.ts';
import {
  type Access,
  checkVersion,
  type Committed,
  databaseError,
  type Declared,
  type Intake,
  type LaneMark,
  type LaneTally,
  type MediaState,
  type Resend,
  type ResendLimits,
  mostEpochs,
  type SinkDatabase,
  type WholeMedia,
} from './database.ts';
import type { Ranges } from '#agent/domain/ranges.ts';
import type { LaneKey } from './received.ts';
import { claimResends } from './sqlite-downlink.ts';
import { SqliteRound } from './sqlite-round.ts';
import { sqliteMigrations } from './sqlite-schema.ts';

const busyMs = 2_000;

/** @throws OutpostError `sink-database-…` */
export function openSqliteDatabase(file: string, access: Access): SinkDatabase {
  try {
    const db = openSqlite(file, { busyMs, readonly: access === 'read', mustExist: access === 'read' });
    try {
      return new SqliteDatabase(prepare(db, file, access), file, inodeOf(file));
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  } catch (thrown) {
    const error = toError(thrown, file);
    if (!sqliteCode(thrown).startsWith('SQLITE_CANTOPEN') && !(thrown instanceof TypeError)) throw error;
    throw databaseError(
      access === 'read' ? 'sink-database-empty' : 'sink-database-refused',
      `sqlite:${file}`,
      messageOf(thrown),
      thrown,
    );
  }
}

function prepare(db: Sqlite, file: string, access: Access): Sqlite {
  const name = `sqlite:${file}`;
  db.pragma('trusted_schema = OFF');
  if (access === 'read') {
    checkVersion(versionOf(db), sqliteMigrations.length, access, name);
    return db;
  }
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  db.pragma('synchronous = FULL');
  const synchronous = db.pragma('synchronous', { simple: true });
  if (mode !== 'wal' || synchronous !== 2) {
    throw new OutpostError('sink-database-not-durable', undefined, { context: { database: name, mode, synchronous } });
  }
  db.transaction(() => {
    const version = versionOf(db);
    checkVersion(version, sqliteMigrations.length, access, name);
    if (version === sqliteMigrations.length) return;
    for (const migration of sqliteMigrations.slice(version)) db.exec(migration);
    db.prepare('UPDATE outpost_version SET version = ?').run(sqliteMigrations.length);
  }).immediate();
  return db;
}

function versionOf(db: Sqlite): number {
  const there = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'outpost_version'").get();
  return there === undefined ? 0 : Number(db.prepare('SELECT max(version) FROM outpost_version').pluck().get());
}

class SqliteDatabase implements SinkDatabase {
  readonly name: string;
  readonly #db: Sqlite;
  readonly #file: string;
  readonly #inode: bigint | undefined;
  #round: SqliteRound | undefined;

  constructor(db: Sqlite, file: string, inode: bigint | undefined) {
    this.#db = db;
    this.#file = file;
    this.#inode = inode;
    this.name = `sqlite:${file}`;
  }

  async commit(intake: Intake): Promise<Committed> {
    return await this.#try(() => {
      const round = (this.#round ??= new SqliteRound(this.#db));
      this.#isInPlace();
      const committed = this.#db.transaction(() => round.write(intake)).immediate();
      this.#isInPlace();
      return committed;
    });
  }

  async marksOf(devices: readonly string[]): Promise<readonly LaneMark[]> {
    return await this.#try(() => {
      const select = this.#db.prepare('SELECT * FROM outpost_lane WHERE device = ? ORDER BY id DESC');
      return devices.flatMap((device) => {
        const rows = select.all(device) as LaneRow[];
        const newest = new Set([...new Set(rows.map(({ epoch }) => epoch))].slice(0, mostEpochs));
        return rows.flatMap((row) => {
          const { epoch, lane, upto, missing } = row;
          if (!newest.has(epoch) || !isLane(lane)) return [];
          return [{ device, epoch, lane, mark: { upto, missing: JSON.parse(missing) as Ranges, ahead: [] } }];
        });
      });
    });
  }

  async wholeMedia(): Promise<WholeMedia | undefined> {
    return await this.#try(() => {
      const row = this.#db.prepare(wholeSql).get() as Omit<WholeMedia, 'content'> | undefined;
      if (!row) return undefined;
      const parts = this.#db.prepare(contentSql).pluck().all(row.device, row.id, row.sha256) as Buffer[];
      return { ...row, content: Buffer.concat(parts) };
    });
  }

  async settleMedia({ device, id, sha256 }: WholeMedia, state: MediaState, path: string): Promise<void> {
    await this.#try(() => {
      this.#db
        .transaction(() => {
          this.#db.prepare(settleSql).run(state, path, device, id, sha256);
          if (state === 'stored') this.#db.prepare(removeSql).run(device, id, sha256);
        })
        .immediate();
    });
  }

  async claimResends(devices: readonly string[], limits: ResendLimits): Promise<readonly Resend[]> {
    return await this.#try(() => this.#db.transaction(() => claimResends(this.#db, devices, limits)).immediate());
  }

  async tally(): Promise<readonly LaneTally[]> {
    return await this.#try(() => {
      const rows = this.#db.prepare(tallySql).all() as TallyRow[];
      return rows.flatMap((row) => {
        const { device, epoch, lane, upto, received, duplicates, conflicts, rejected } = row;
        if (!isLane(lane)) return [];
        const told =
          row.told_last === null
            ? undefined
            : { first: row.told_first ?? 0, last: row.told_last, depth: row.told_depth ?? 0 };
        const missing = JSON.parse(row.missing) as Ranges;
        const ahead = JSON.parse(row.ahead) as Ranges;
        const declared = JSON.parse(row.declared) as readonly Declared[];
        return [
          { device, epoch, lane, upto, missing, ahead, received, duplicates, conflicts, rejected, declared, told },
        ];
      });
    });
  }

  async absent({ device, epoch, lane }: LaneKey, last: number): Promise<Ranges> {
    return await this.#try(() => {
      const id: unknown = this.#db
        .prepare('SELECT id FROM outpost_lane WHERE device = ? AND epoch = ? AND lane = ?')
        .pluck()
        .get(device, epoch, lane);
      if (id === undefined) return last > 0 ? [[1, last]] : [];
      return (this.#db.prepare(absentSql).all({ id, last }) as { first: number; last: number }[]).map(
        (row) => [row.first, row.last] as const,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve(this.#db.close());
  }

  /** SQLite goes on writing into a file that was removed: what is acknowledged must be in the one that has the name. */
  #isInPlace(): void {
    if (inodeOf(this.#file) === this.#inode) return;
    const detail = 'the file was removed or replaced; put it back, or start the sink again';
    throw databaseError('sink-database-down', this.name, detail, undefined);
  }

  async #try<T>(work: () => T): Promise<T> {
    try {
      return await Promise.resolve(work());
    } catch (thrown) {
      throw toError(thrown, this.#file);
    }
  }
}

/** @returns undefined when nothing has this name */
const inodeOf = (file: string): bigint | undefined => statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;

interface LaneRow {
  readonly epoch: string;
  readonly lane: string;
  readonly upto: number;
  readonly missing: string;
}

interface TallyRow extends LaneRow {
  readonly device: string;
  readonly ahead: string;
  readonly received: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  readonly declared: string;
  readonly told_first: number | null;
  readonly told_last: number | null;
  readonly told_depth: number | null;
}

const wholeSql = `
  SELECT device, media_id AS id, sha256, media_type AS mediaType, size FROM outpost_media m
  WHERE state = 'partial' AND chunks = (SELECT count(*) FROM outpost_media_chunk c
    WHERE c.device = m.device AND c.media_id = m.media_id AND c.sha256 = m.sha256 AND c.chunk < m.chunks)
  ORDER BY updated_at LIMIT 1`;

const contentSql =
  'SELECT content FROM outpost_media_chunk WHERE device = ? AND media_id = ? AND sha256 = ? ORDER BY chunk';

const settleSql = `
  UPDATE outpost_media SET state = ?, path = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ')
  WHERE device = ? AND media_id = ? AND sha256 = ?`;

const removeSql = 'DELETE FROM outpost_media_chunk WHERE device = ? AND media_id = ? AND sha256 = ?';

const tallySql = `
  WITH counted AS (SELECT lane_id, count(*) AS received FROM outpost_event GROUP BY lane_id)
  SELECT l.*, coalesce(c.received, 0) + (SELECT count(DISTINCT r.seq) FROM outpost_rejected r WHERE r.lane_id = l.id
      AND NOT EXISTS (SELECT 1 FROM outpost_event e WHERE e.lane_id = r.lane_id AND e.seq = r.seq)) AS received,
    (SELECT count(*) FROM outpost_rejected r WHERE r.lane_id = l.id) AS rejected,
    (SELECT json_group_array(json_array(d.first_seq, d.last_seq, d.count)) FROM outpost_dropped d
      WHERE d.lane_id = l.id) AS declared
  FROM outpost_lane l LEFT JOIN counted c ON c.lane_id = l.id ORDER BY l.device, l.id`;

const absentSql = `
  WITH stored AS (
    SELECT seq FROM outpost_event WHERE lane_id = $id AND seq <= $last
    UNION SELECT seq FROM outpost_rejected WHERE lane_id = $id AND seq <= $last
    UNION SELECT 0 UNION SELECT $last + 1
  ), next AS (SELECT seq, lead(seq) OVER (ORDER BY seq) AS following FROM stored)
  SELECT seq + 1 AS first, following - 1 AS last FROM next WHERE following > seq + 1 ORDER BY seq`;

function toError(thrown: unknown, file: string): OutpostError {
  if (thrown instanceof OutpostError) return thrown;
  const name = `sqlite:${file}`;
  const text = messageOf(thrown);
  const code = sqliteCode(thrown);
  if (isDiskFull(thrown)) return databaseError('sink-database-full', name, text, thrown);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return databaseError('sink-database-locked', name, text, thrown);
  if (isCorrupt(thrown)) return databaseError('sink-database-damaged', name, text, thrown);
  return databaseError('sink-database-down', name, text, thrown);
}

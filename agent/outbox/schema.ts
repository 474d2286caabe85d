/**
 * The tables of the store, and how they come to be: `user_version` counts the migrations. README.md documents them.
 *
 *   meta    what the store is: device, epoch, boot …
 *   lane    one row for each (epoch, lane): its slot, the highest number given, what waits
 *   outbox  the waiting events, as the JSON text that will be sent
 *   dropped the ledger of what was given up
 */
import { type Sqlite, openSqlite } from '#agent/core/sqlite.ts';
import { OutpostError } from '#agent/core/errors.ts';

export const storeVersion = 3;
/** A number beyond is a flipped bit, not a version to come. */
const mostVersions = 255;
export const pageBytes = 8_192;
/** `OUTP` */
const applicationId = 0x4f555450;

/** Sequence numbers take the lower 40 bits of an outbox id, the lane's slot the 13 above: exact in a JS number. */
export const slotSize = 2 ** 40;
export const mostSlots = 2 ** 13 - 1;
export const idOf = (slot: number, seq: number): number => slot * slotSize + seq;
export const seqOf = (id: number): number => id % slotSize;

const version1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE lane (
    slot INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    lane TEXT NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0,
    acked_seq INTEGER NOT NULL DEFAULT 0,
    depth INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (epoch, lane)
  ) STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    mono_ms INTEGER NOT NULL,
    expires_mono_ms INTEGER,
    keep INTEGER NOT NULL,
    json TEXT NOT NULL
  ) STRICT;
  CREATE TABLE dropped (
    id INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL REFERENCES lane (slot),
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    declared_seq INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX dropped_slot ON dropped (slot, first_seq);
  CREATE VIEW waiting AS
    SELECT lane.epoch, lane.lane, outbox.id % 1099511627776 AS seq, outbox.boot, outbox.mono_ms, outbox.json
    FROM outbox JOIN lane ON lane.slot = outbox.id / 1099511627776;
`;

/** Checksums (sums.ts), and what can expire. */
const version2 = `
  ALTER TABLE outbox ADD COLUMN sum INTEGER;
  ALTER TABLE lane ADD COLUMN sum INTEGER;
  CREATE INDEX outbox_expiry ON outbox (expires_mono_ms) WHERE expires_mono_ms IS NOT NULL;
`;

/** Several events in one row (runs.ts). */
const version3 = `
  ALTER TABLE outbox ADD COLUMN parts BLOB;
  DROP VIEW waiting;
  CREATE VIEW waiting AS
    SELECT lane.epoch, lane.lane, outbox.id % 1099511627776 + event.key AS seq, outbox.boot, outbox.mono_ms,
      event.value AS json
    FROM outbox JOIN lane ON lane.slot = outbox.id / 1099511627776, json_each('[' || outbox.json || ']') AS event;
`;

const migrations = [version1, version2, version3];

/**
 * Opens or creates the store so that a commit is on the disk when it returns, and reads back that it is so.
 * @throws OutpostError `outbox-newer`, `outbox-corrupt`, `outbox-not-durable`; SqliteError for everything else
 */
export function openStoreFile(path: string): Sqlite {
  const db = openSqlite(path, { busyMs: 5_000 });
  try {
    db.pragma(`page_size = ${pageBytes}`);
    const mode = db.pragma('journal_mode = WAL', { simple: true });
    db.pragma('synchronous = FULL');
    const synchronous = db.pragma('synchronous', { simple: true });
    if (mode !== 'wal' || synchronous !== 2) {
      throw new OutpostError('outbox-not-durable', undefined, { context: { path, mode, synchronous } });
    }
    db.pragma('cache_size = -16384');
    db.pragma('journal_size_limit = 16777216');
    db.pragma('trusted_schema = OFF');
    migrate(db, path);
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** One that is filled before it has its name: nothing of it is safe until its file is synced. */
export function openNewStoreFile(path: string): Sqlite {
  const db = openSqlite(path, { busyMs: 0 });
  try {
    db.pragma(`page_size = ${pageBytes}`);
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    migrate(db, path);
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

function migrate(db: Sqlite, path: string): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version === storeVersion) return;
  if (hasOurTables(db)) {
    // every version has other tables, so it is the number that is damaged
    db.pragma(`user_version = ${storeVersion}`);
    return;
  }
  if (version > mostVersions) throw new OutpostError('outbox-corrupt', undefined, { context: { path, version } });
  if (version > storeVersion) {
    throw new OutpostError('outbox-newer', undefined, { context: { path, version, known: storeVersion } });
  }
  db.transaction(() => {
    db.pragma(`application_id = ${applicationId}`);
    for (const migration of migrations.slice(version)) db.exec(migration);
    db.pragma(`user_version = ${storeVersion}`);
  }).immediate();
}

/** To the letter: a damaged text may name a column that every statement then misses. */
export const hasOurTables = (db: Sqlite): boolean => tablesOf(db) === (ourTables ??= freshTables());

let ourTables: string | undefined;

function freshTables(): string {
  const db = openSqlite(':memory:', { busyMs: 0 });
  try {
    for (const migration of migrations) db.exec(migration);
    return tablesOf(db);
  } finally {
    db.close();
  }
}

const tablesOf = (db: Sqlite): string =>
  JSON.stringify(db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name').raw().all());

/**
 * The sink's database in PostgreSQL; many sinks share it.
 *
 *   insert events (waits for nobody, but for the same number in another's hands)
 *   -> lock the lanes, in the order of their ids -> advance the marks -> COMMIT
 *
 * Every transaction takes rows in the same order (events, rejected, devices, lanes; each sorted), so none waits for
 * another in a circle. Lanes come last: the lock that sinks share is held for the shortest time.
 */
import { Pool, type PoolClient } from 'pg';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';
import { isLane, type Lane } from '#agent/domain/lane.ts';
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
  Unstorable,
  type WholeMedia,
} from './database.ts';
import { claimResends } from './postgres-downlink.ts';
import { postgresMigrations } from './postgres-schema.ts';
import * as sql from './postgres-sql.ts';
import type { Ranges } from '#agent/domain/ranges.ts';
import type { LaneKey } from './received.ts';
import { lanesIn, nameOf, planRound } from './round.ts';
import { type LaneRow, LanesGone, markOf, writeRound } from './postgres-round.ts';

/** Names the lock that is held while tables are made: `OUTP`. */
const migrationLock = 0x4f555450;
const connectMs = 10_000;
const statementMs = 120_000;
const lockMs = 20_000;
const idleMs = 30_000;

/** @throws OutpostError `sink-database-…` */
export async function openPostgres(url: string, access: Access): Promise<SinkDatabase> {
  const database = new Postgres(url);
  try {
    await database.prepare(access);
    return database;
  } catch (thrown) {
    await database[Symbol.asyncDispose]();
    throw thrown;
  }
}

class Postgres implements SinkDatabase {
  readonly name: string;
  readonly #pool: Pool;
  readonly #ids = new Map<string, number>();

  constructor(url: string) {
    this.name = nameOfUrl(url);
    this.#pool = new Pool({
      connectionString: url,
      max: 3,
      application_name: 'outpost-sink',
      connectionTimeoutMillis: connectMs,
      query_timeout: statementMs + connectMs,
      keepAlive: true,
    });
    // A connection that breaks while nobody uses it: the next round finds out.
    this.#pool.on('error', () => this.#ids.clear());
    this.#pool.on('connect', (client) => {
      this.#ids.clear();
      client.on('error', () => undefined);
    });
  }

  async prepare(access: Access): Promise<void> {
    await this.#with(async (client) => {
      const { rows } = await client.query<{ fsync: string; pages: string }>(
        "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages",
      );
      if (access === 'migrate' && (rows[0]?.fsync !== 'on' || rows[0].pages !== 'on')) {
        throw new OutpostError('sink-database-not-durable', undefined, {
          context: { database: this.name, ...rows[0] },
        });
      }
      if (access === 'read') checkVersion(await versionOf(client), postgresMigrations.length, access, this.name);
      else await this.#transact(client, async () => await this.#migrate(client));
    });
  }

  async #migrate(client: PoolClient): Promise<void> {
    await client.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    const version = await versionOf(client);
    checkVersion(version, postgresMigrations.length, 'migrate', this.name);
    if (version === postgresMigrations.length) return;
    if (version === 0) {
      await client.query('CREATE TABLE IF NOT EXISTS outpost_version (version integer NOT NULL)');
      await client.query('INSERT INTO outpost_version VALUES (0)');
    }
    for (const migration of postgresMigrations.slice(version)) await client.query(migration);
    await client.query('UPDATE outpost_version SET version = $1', [postgresMigrations.length]);
  }

  async commit(intake: Intake): Promise<Committed> {
    return await this.#with(async (client) => {
      const ids = await this.#laneIds(client, lanesIn(intake));
      const round = planRound(intake, ids);
      try {
        return await this.#transact(client, async () => await writeRound(client, intake, round, ids));
      } catch (thrown) {
        if (thrown instanceof LanesGone) this.#ids.clear();
        throw thrown;
      }
    });
  }

  /** Made before the round's transaction, so that no sink waits for another's new lanes. */
  async #laneIds(client: PoolClient, keys: ReadonlyMap<string, LaneKey>): Promise<ReadonlyMap<string, number>> {
    const unknown = [...keys.values()].filter((key) => !this.#ids.has(nameOf(key)));
    if (unknown.length > 0) {
      const sorted = unknown.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
      const columns = [
        sorted.map(({ device }) => device),
        sorted.map(({ epoch }) => epoch),
        sorted.map(({ lane }) => lane),
      ];
      await client.query(sql.ensureLanes, columns);
      const { rows } = await client.query<{ id: string; device: string; epoch: string; lane: Lane }>(
        sql.findLanes,
        columns,
      );
      if (this.#ids.size > mostIds) this.#ids.clear();
      for (const { id, ...key } of rows) this.#ids.set(nameOf(key), Number(id));
      if ([...keys.keys()].some((name) => !this.#ids.has(name))) return await this.#laneIds(client, keys);
    }
    return new Map([...keys.keys()].map((name) => [name, this.#ids.get(name) ?? 0]));
  }

  async marksOf(devices: readonly string[]): Promise<readonly LaneMark[]> {
    return await this.#with(async (client) => {
      const { rows } = await client.query<LaneRow>(sql.marksOf, [devices, mostEpochs]);
      return rows.flatMap((row) => (isLane(row.lane) ? [{ ...keyOf(row), mark: markOf(row) }] : []));
    });
  }

  async wholeMedia(): Promise<WholeMedia | undefined> {
    return await this.#with(async (client) => {
      const { rows } = await client.query<MediaRow>(sql.findWholeMedia);
      const [row] = rows;
      if (!row) return undefined;
      const { device, media_id: id, sha256, media_type: mediaType, size } = row;
      const parts = await client.query<{ content: Buffer }>(sql.contentOf, [device, id, sha256]);
      const content = Buffer.concat(parts.rows.map((part) => part.content));
      return { device, id, sha256, mediaType, size: Number(size), content };
    });
  }

  async settleMedia({ device, id, sha256 }: WholeMedia, state: MediaState, path: string): Promise<void> {
    await this.#with(async (client) => {
      await this.#transact(client, async () => {
        await client.query(sql.settleMedia, [device, id, sha256, state, path]);
        if (state === 'stored') await client.query(sql.removeChunks, [device, id, sha256]);
      });
    });
  }

  async claimResends(devices: readonly string[], limits: ResendLimits): Promise<readonly Resend[]> {
    return await this.#with(
      async (client) => await this.#transact(client, async () => await claimResends(client, devices, limits)),
    );
  }

  async tally(): Promise<readonly LaneTally[]> {
    return await this.#with(async (client) => {
      const { rows } = await client.query<TallyRow>(sql.tally);
      return rows.map((row) => ({
        device: row.device,
        epoch: row.epoch,
        lane: row.lane,
        upto: Number(row.upto),
        missing: row.missing,
        ahead: row.ahead ?? [],
        received: Number(row.received),
        duplicates: Number(row.duplicates),
        conflicts: Number(row.conflicts),
        rejected: Number(row.rejected),
        declared: row.declared,
        told:
          row.told_last === null
            ? undefined
            : { first: Number(row.told_first), last: Number(row.told_last), depth: Number(row.told_depth) },
      }));
    });
  }

  async absent(key: LaneKey, last: number): Promise<Ranges> {
    return await this.#with(async (client) => {
      const ids = await client.query<{ id: string }>(sql.findLanes, [[key.device], [key.epoch], [key.lane]]);
      const id = ids.rows[0]?.id;
      if (id === undefined) return last > 0 ? [[1, last]] : [];
      const { rows } = await client.query<{ first: string; last: string }>(sql.absentIn, [id, last]);
      return rows.map(({ first, last: end }) => [Number(first), Number(end)] as const);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end();
  }

  async #with<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    let client: PoolClient | undefined;
    try {
      client = await this.#pool.connect();
      // A sink that is stopped while it holds locks must not stop the others for ever; a round fits into its memory.
      if (!settled.has(client)) {
        await client.query(
          `SET statement_timeout = ${statementMs}; SET lock_timeout = ${lockMs}; SET work_mem = '32MB';
           SET idle_in_transaction_session_timeout = ${idleMs};
           SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
        );
        settled.add(client);
      }
      const result = await work(client);
      client.release();
      return result;
    } catch (thrown) {
      client?.release(true);
      throw this.#toError(thrown);
    }
  }

  async #transact<T>(client: PoolClient, work: () => Promise<T>): Promise<T> {
    await client.query('BEGIN');
    const result = await work();
    await client.query('COMMIT');
    return result;
  }

  #toError(thrown: unknown): Error {
    if (thrown instanceof OutpostError || thrown instanceof Unstorable) return thrown;
    const code = systemCode(thrown) ?? '';
    const text = messageOf(thrown);
    // data exception, program limit exceeded (PostgreSQL, appendix A)
    if (/^(22|54)...$/.test(code)) return new Unstorable(text, { cause: thrown });
    if (/^(28...|3D000|42501|3F000)$/.test(code))
      return databaseError('sink-database-refused', this.name, text, thrown);
    if (/^(53100|53200|ENOSPC)$/.test(code)) return databaseError('sink-database-full', this.name, text, thrown);
    if (/^(55P03|57014|40001|40P01)$/.test(code)) return databaseError('sink-database-locked', this.name, text, thrown);
    return databaseError('sink-database-down', this.name, text, thrown);
  }
}

const settled = new WeakSet<PoolClient>();
/** Lanes that are remembered by their id. */
const mostIds = 200_000;

async function versionOf(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('outpost_version') IS NOT NULL AS there");
  if (rows[0]?.there !== true) return 0;
  const found = await client.query<{ version: number }>('SELECT max(version) AS version FROM outpost_version');
  return found.rows[0]?.version ?? 0;
}

interface MediaRow {
  readonly device: string;
  readonly media_id: string;
  readonly sha256: string;
  readonly media_type: string;
  readonly size: string;
}

interface TallyRow extends LaneRow {
  readonly received: string;
  readonly duplicates: string;
  readonly conflicts: string;
  readonly rejected: string;
  readonly declared: readonly Declared[];
  readonly told_first: string | null;
  readonly told_last: string | null;
  readonly told_depth: string | null;
}

const keyOf = ({ device, epoch, lane }: LaneRow): LaneKey => ({ device, epoch, lane });

function nameOfUrl(url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `postgres://${hostname}${port ? `:${port}` : ''}${pathname}`;
  } catch {
    throw new OutpostError('sink-database-url');
  }
}

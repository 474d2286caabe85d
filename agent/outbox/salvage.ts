/**
 * Takes over what can be read of a damaged store.
 *
 *   old file --rows whose JSON agrees with its own id--> new store, in their old epoch
 *            --numbers that should be there and are not--> outpost.dropped, reason `corrupt`
 */
import { openSqlite, type Sqlite } from '#agent/core/sqlite.ts';
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { idOf, seqOf } from './schema.ts';

export interface SalvagedRow {
  readonly epoch: string;
  readonly lane: Lane;
  readonly seq: number;
  readonly boot: number;
  readonly monoMs: number;
  readonly keep: number;
  readonly json: string;
}

/** What the old store said of a lane: all that was given a number, and all that had been acknowledged. */
export interface SalvagedLane {
  readonly epoch: string;
  readonly lane: Lane;
  readonly last: number;
  readonly acked: number;
}

export interface Damaged {
  readonly lanes: readonly SalvagedLane[];
  readonly boot: number;
  /** Calls `take` with every row that can be believed; it answers false for one that it has already. */
  readRows(take: (row: SalvagedRow) => boolean): void;
  close(): void;
}

interface RawRow {
  readonly id: number;
  readonly boot: number;
  readonly mono_ms: number;
  readonly keep: number;
  readonly json: string;
}

/** Reads as far as reading goes. @returns undefined when nothing can be read at all */
export function openDamaged(path: string): Damaged | undefined {
  return attempt(() => {
    const db = openSqlite(path, { busyMs: 0, readonly: true, mustExist: true });
    // A file that is shorter than its head says is read as far as it goes only in this mode.
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    const lanes = readLanes(db);
    return {
      lanes,
      boot: Number(attempt(() => db.prepare("SELECT value FROM meta WHERE key = 'boot'").pluck().get(), 0)) || 0,
      readRows: (take: (row: SalvagedRow) => boolean) =>
        readRows(
          db,
          lanes.map(({ slot }) => slot),
          take,
        ),
      close: () => db.close(),
    };
  }, undefined);
}

function readLanes(db: Sqlite): (SalvagedLane & { readonly slot: number })[] {
  return attempt(() => db.prepare('SELECT slot, epoch, lane, last_seq, acked_seq FROM lane').all(), []).flatMap(
    (raw) => {
      const { slot, epoch, lane, last_seq, acked_seq } = raw as Record<string, unknown>;
      if (typeof slot !== 'number' || typeof epoch !== 'string' || typeof lane !== 'string' || !isLane(lane)) return [];
      return [{ slot, epoch, lane, last: Number(last_seq), acked: Number(acked_seq) }];
    },
  );
}

/** Forwards and backwards from both ends of every lane, until a damaged page stops it. */
function readRows(db: Sqlite, slots: readonly number[], take: (row: SalvagedRow) => boolean): void {
  const ranges =
    slots.length > 0 ? slots.map((slot) => [idOf(slot, 0), idOf(slot + 1, 0)]) : [[0, Number.MAX_SAFE_INTEGER]];
  for (const [from, to] of ranges) {
    for (const order of ['ASC', 'DESC']) {
      attempt(() => {
        const select = db.prepare(
          `SELECT id, boot, mono_ms, keep, json FROM outbox WHERE id > ? AND id < ? ORDER BY id ${order}`,
        );
        for (const raw of select.iterate(from, to) as Iterable<RawRow>) {
          const row = checked(raw);
          if (row && !take(row) && order === 'DESC') break;
        }
      }, undefined);
    }
  }
}

/** A row is believed when its text is whole and says of itself what its id says. */
function checked({ id, boot, mono_ms: monoMs, keep, json }: RawRow): SalvagedRow | undefined {
  if (typeof json !== 'string' || ![boot, monoMs, keep].every(Number.isSafeInteger)) return undefined;
  return attempt(() => {
    const { epoch, lane, seq, specversion } = JSON.parse(json) as Record<string, unknown>;
    if (typeof epoch !== 'string' || !/^[0-9a-f]{32}$/.test(epoch) || typeof lane !== 'string' || !isLane(lane))
      return undefined;
    if (specversion !== '1.0' || seq !== String(seqOf(id))) return undefined;
    return { epoch, lane, seq: seqOf(id), boot, monoMs, keep, json };
  }, undefined);
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    // a damaged page: what was read before it stays
    return otherwise;
  }
}

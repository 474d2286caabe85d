/**
 * Takes over what can be read of a damaged store.
 *
 *   old file --rows whose JSON agrees with its own id--> new store, in their old epoch
 *            --numbers that should be there and are not--> outpost.dropped, reason `corrupt`
 */
import { openSqlite, type Sqlite } from '#agent/core/sqlite.ts';
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { idOf, mostSlots, seqOf, slotSize } from './schema.ts';
import { agrees, laneSum, rowSum } from './sums.ts';

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
  readonly sum: number | null;
}

/** Slots beyond those that the lane table still names, in case it is the lane table that is damaged. */
const slotsBeyond = 64;

/** Reads as far as reading goes. @returns undefined when nothing can be read at all */
export function openDamaged(path: string): Damaged | undefined {
  return attempt(() => {
    const db = openSqlite(path, { busyMs: 0, readonly: true, mustExist: true });
    // A file that is shorter than its head says is read as far as it goes only in this mode.
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    const hasSums = attempt(() => db.prepare('SELECT sum FROM outbox LIMIT 1').all(), undefined) !== undefined;
    const lanes = readLanes(db, hasSums);
    const slots = Math.max(0, ...lanes.map(({ slot }) => slot)) + slotsBeyond;
    return {
      lanes: lanes.filter(({ isSound }) => isSound),
      boot: Number(attempt(() => db.prepare("SELECT value FROM meta WHERE key = 'boot'").pluck().get(), 0)) || 0,
      readRows: (take: (row: SalvagedRow) => boolean) => {
        for (let slot = 0; slot <= slots; slot += 1) readRows(db, slot, hasSums ? 'sum' : 'NULL AS sum', take);
      },
      close: () => db.close(),
    };
  }, undefined);
}

function readLanes(
  db: Sqlite,
  hasSums: boolean,
): (SalvagedLane & { readonly slot: number; readonly isSound: boolean })[] {
  const select = `SELECT slot, epoch, lane, last_seq, acked_seq, depth, bytes, ${hasSums ? 'sum' : 'NULL AS sum'} FROM lane`;
  const found: (SalvagedLane & { readonly slot: number; readonly isSound: boolean })[] = [];
  attempt(() => {
    for (const raw of db.prepare(select).iterate() as Iterable<Record<string, unknown>>) {
      const { slot, epoch, lane, last_seq, acked_seq, sum } = raw;
      if (typeof slot !== 'number' || typeof epoch !== 'string' || typeof lane !== 'string' || !isLane(lane)) continue;
      const [last, acked] = [Number(last_seq), Number(acked_seq)];
      const facts = { slot, epoch, lane, last, acked, depth: Number(raw['depth']), bytes: Number(raw['bytes']) };
      const isSound = agrees(sum, () => laneSum(facts)) && slot >= 0 && slot < mostSlots && acked <= last;
      found.push({ slot: Math.min(mostSlots, Math.max(0, slot)), epoch, lane, last, acked, isSound });
    }
  }, undefined);
  return found;
}

/** From the front until a damaged page, then from behind it on, and back to it. */
function readRows(db: Sqlite, slot: number, sum: string, take: (row: SalvagedRow) => boolean): void {
  const [from, to] = [idOf(slot, 0), idOf(slot + 1, 0)];
  let last = scan(db, { from, to, sum, order: 'ASC' }, take);
  for (let skip = 1; last !== undefined && skip < slotSize; skip *= 2) {
    const behind = last + skip;
    const reached = scan(db, { from: behind, to, sum, order: 'ASC' }, take);
    if (reached === undefined || reached > behind) {
      scan(db, { from: last, to: behind + 1, sum, order: 'DESC' }, take);
      last = reached;
      skip = 1;
    }
  }
  scan(db, { from, to, sum, order: 'DESC' }, take);
}

interface Scan {
  readonly from: number;
  readonly to: number;
  readonly sum: string;
  readonly order: 'ASC' | 'DESC';
}

/** @returns where a damaged page stopped it; undefined when nothing did */
function scan(db: Sqlite, { from, to, sum, order }: Scan, take: (row: SalvagedRow) => boolean): number | undefined {
  let last = from;
  return attempt(
    () => {
      const select = db.prepare(
        `SELECT id, boot, mono_ms, keep, json, ${sum} FROM outbox WHERE id > ? AND id < ? ORDER BY id ${order}`,
      );
      for (const raw of select.iterate(from, to) as Iterable<RawRow>) {
        if (Number.isSafeInteger(raw.id)) last = raw.id;
        const row = checked(raw);
        if (row && !take(row) && order === 'DESC') break;
      }
      return undefined;
    },
    () => last,
  );
}

/** A row is believed when its text is whole and says of itself what its id says. */
function checked({ id, boot, mono_ms: monoMs, keep, json, sum }: RawRow): SalvagedRow | undefined {
  if (typeof json !== 'string' || ![boot, monoMs, keep].every(Number.isSafeInteger)) return undefined;
  return attempt(() => {
    if (!agrees(sum, () => rowSum({ id, boot, monoMs, keep }, json))) return undefined;
    // With a checksum the text is as it was written: its numbers are found without parsing all of it.
    const [, epoch = '', lane = '', seq] = numbersPattern.exec(json) ?? [];
    if (sum === null && (JSON.parse(json) as { specversion?: unknown }).specversion !== '1.0') return undefined;
    if (!isLane(lane) || seq !== String(seqOf(id))) return undefined;
    return { epoch, lane, seq: seqOf(id), boot, monoMs, keep, json };
  }, undefined);
}

/** Quotes inside a JSON string are escaped, so no text of an event can pass for it. */
const numbersPattern = /,"epoch":"([0-9a-f]{32})","lane":"([a-z]+)","seq":"(\d+)",/;

function attempt<T>(read: () => T, otherwise: T | (() => T)): T {
  try {
    return read();
  } catch {
    // a damaged page: what was read before it stays
    return typeof otherwise === 'function' ? (otherwise as () => T)() : otherwise;
  }
}

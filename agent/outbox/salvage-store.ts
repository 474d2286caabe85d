/**
 * Makes one store of what can be read of those that were put aside, beside the one that serves. It has its name only when
 * it is complete, so a process that ends in the middle of it begins again.
 *
 *   outbox.salvaging-….db --rows, in their old epochs--> outbox.new.db --fsync, rename--> outbox.salvaged.db
 *                         --what is missing-----------> its note, for whoever joins it with the one that serves
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDiskFull, type Sqlite } from '#agent/core/sqlite.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { EventData } from '#agent/domain/event.ts';
import { type Lane, lanes as allLanes } from '#agent/domain/lane.ts';
import { type Damaged, openDamaged } from './salvage.ts';
import { openNewStoreFile } from './schema.ts';
import { Slots } from './slots.ts';
import { takeOver } from './take-over.ts';
import { TakenRows } from './taken-rows.ts';

export const salvagedFile = (file: string): string => join(dirname(file), 'outbox.salvaged.db');

/** Numbers of a slot that will never come; `count` of them where it is not known which. */
export interface Gap {
  readonly slot: number;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly reason: EventData<'dropped'>['reason'];
}

/** What a salvaged store says of itself. */
export interface SalvageNote {
  /** Names of the files that were read. */
  readonly of: readonly string[];
  /** Highest number of a boot in them. */
  readonly boot: number;
  readonly events: number;
  /** To be declared. */
  readonly gaps: readonly Gap[];
  /** The lanes of the store that it was joined with, as they were. */
  readonly joined?: string;
}

export interface SalvageOptions {
  /** Left free on the disk for those who write beside it. */
  readonly keepFreeBytes: number;
  /** Called when the disk is full, before lanes are left out. */
  readonly release: () => void;
  /** Told now and then how much was taken over. */
  readonly onTaken?: (bytes: number) => void;
}

/** What is written goes to the disk in pieces, so that nobody else waits for all of it at the end. */
const pieceBytes = 16 * 1024 * 1024;

/** It has no events of its own. */
const nobody: Origin = { device: '', epoch: '', boot: 0 };

/**
 * A full disk: what `release` gives first, then without the rows of the lanes that are given up first.
 *
 * @throws SqliteError or a system error when there is none; what was put aside stays as it is
 */
export function buildSalvaged(file: string, stores: readonly string[], options: SalvageOptions): void {
  const fresh = join(dirname(file), 'outbox.new.db');
  const fewer = allLanes.map((_lane, index) => allLanes.slice(0, allLanes.length - 1 - index));
  for (const lanes of [allLanes, allLanes, ...fewer]) {
    rmSync(fresh, { force: true });
    try {
      fill(fresh, stores, lanes, options);
      sync(fresh);
      renameSync(fresh, salvagedFile(file));
      sync(dirname(file));
      return;
    } catch (thrown) {
      rmSync(fresh, { force: true });
      if (!isDiskFull(thrown) || lanes.length === 0) throw thrown;
      options.release();
    }
  }
}

function fill(fresh: string, stores: readonly string[], lanes: readonly Lane[], options: SalvageOptions): void {
  const opened: Damaged[] = [];
  const db = openNewStoreFile(fresh);
  const pieces = new Pieces(fresh, options);
  try {
    for (const store of stores) opened.push(openDamaged(store));
    db.exec('BEGIN');
    const slots = new Slots(db, nobody);
    const taken = new TakenRows(db, (bytes) => pieces.wrote(bytes));
    const missing = opened.flatMap((damaged) => takeOver(taken, slots, damaged, lanes));
    slots.persist();
    writeNote(db, {
      of: stores.map((store) => basename(store)),
      boot: Math.max(...opened.map(({ boot }) => boot)),
      events: slots.state().reduce((sum, { depth }) => sum + depth, 0),
      gaps: missing.map(({ slot, range: [first, last], count }) => ({
        slot: slot.slot,
        first,
        last,
        count,
        reason: lanes.includes(slot.lane) ? 'corrupt' : 'disk-full',
      })),
    });
    db.exec('COMMIT');
  } finally {
    db.close();
    pieces.close();
    for (const damaged of opened) damaged.close();
  }
  checkRoom(fresh, options.keepFreeBytes);
}

class Pieces {
  readonly #path: string;
  readonly #options: SalvageOptions;
  readonly #file: number;
  #bytes = 0;
  #done = 0;

  constructor(path: string, options: SalvageOptions) {
    this.#path = path;
    this.#options = options;
    this.#file = openSync(path, 'r');
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes - this.#done < pieceBytes) return;
    this.#done = this.#bytes;
    fsyncSync(this.#file);
    checkRoom(this.#path, this.#options.keepFreeBytes);
    this.#options.onTaken?.(this.#bytes);
  }

  close(): void {
    closeSync(this.#file);
  }
}

function checkRoom(path: string, keepFreeBytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize >= keepFreeBytes) return;
  throw Object.assign(new Error('No room is left for what is written beside it.'), { code: 'ENOSPC' });
}

const noteKey = 'salvage';

export function writeNote(db: Sqlite, note: SalvageNote): void {
  db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(noteKey, JSON.stringify(note));
}

/** @returns undefined in a store that nothing was salvaged into, and where it makes no sense */
export function readNote(db: Sqlite): SalvageNote | undefined {
  const text = db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck().get(noteKey);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as SalvageNote);
  } catch {
    return undefined;
  }
}

/** Until it is on the disk. */
export function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

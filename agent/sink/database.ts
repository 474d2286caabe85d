/**
 * What a sink needs of a database, and what is written in one transaction.
 *
 *   Intake --[ insert or ignore · lock the lanes · advance their marks · COMMIT ]--> Committed
 */
import { OutpostError } from '#agent/core/errors.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import type { Downlink } from './downlink.ts';
import type { Mark } from './marks.ts';
import type { Presence } from './presence.ts';
import type { LaneKey, ReceivedEvent, Rejected } from './received.ts';

export interface Intake {
  readonly events: readonly ReceivedEvent[];
  readonly rejected: readonly Rejected[];
  readonly presences: readonly Presence[];
  /** What went down to devices, and what they report of it. */
  readonly downlinks?: readonly Downlink[];
}

/** The same number twice, with different content: the first is kept. */
export interface Conflict {
  readonly key: LaneKey;
  readonly seq: number;
}

/** A piece of media of which every chunk is here. */
export interface WholeMedia {
  readonly device: string;
  readonly id: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly size: number;
  readonly content: Buffer;
}

/** `stored`: where `path` says. `damaged`: its bytes are not those that were promised; the chunks stay. */
export type MediaState = 'stored' | 'damaged';

/** When something may be sent to a device again. */
export interface ResendLimits {
  /** The device has had so long to report what it was just sent. */
  readonly graceMs: number;
  /** Between the first two times; twice as long each time after. */
  readonly leastMs: number;
  /** For each return of the device. */
  readonly times: number;
}

export interface Resend {
  readonly device: string;
  readonly name: 'desired' | 'cmd';
  readonly message: Buffer;
}

/** Commands of one device that are kept to be sent again; the oldest beyond are not. */
export const mostCommands = 64;

export interface Committed {
  readonly inserted: number;
  readonly duplicates: number;
  readonly conflicts: readonly Conflict[];
  readonly rejected: number;
  /** Chunks of media that are new. */
  readonly chunks: number;
  /** Devices that are to be told how far their lanes are committed. */
  readonly devices: ReadonlySet<string>;
}

export interface LaneMark extends LaneKey {
  readonly mark: Mark;
}

/** What `verify` counts, of one device, epoch and lane. */
export interface LaneTally extends LaneKey, Mark {
  /** Distinct numbers that are stored, as an event or set aside. */
  readonly received: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  /** What the device last said of itself in `up/state`; absent when it never did. */
  readonly told: { readonly first: number; readonly last: number; readonly depth: number } | undefined;
  /** What every committed `outpost.dropped` says of this lane. */
  readonly declared: readonly Declared[];
}

/** So many numbers of a range were given up; the others of it had gone another way. */
export type Declared = readonly [first: number, last: number, count: number];

export interface SinkDatabase extends AsyncDisposable {
  /** Without the password. */
  readonly name: string;
  /** Rounds that were committed whole or not at all. @throws OutpostError `sink-database-…`: nothing is stored */
  commit(intake: Intake): Promise<Committed>;
  /** The marks of these devices as they are committed now, the newest epochs first. */
  marksOf(devices: readonly string[]): Promise<readonly LaneMark[]>;
  /** One that is whole, and neither stored elsewhere nor found damaged yet. */
  wholeMedia(): Promise<WholeMedia | undefined>;
  /** Its chunks are removed once it is stored. */
  settleMedia(media: WholeMedia, state: MediaState, path: string): Promise<void>;
  /**
   * What these devices lack: `desired` that they do not report, commands without an answer that have not expired. Counted
   * as sent with this.
   */
  claimResends(devices: readonly string[], limits: ResendLimits): Promise<readonly Resend[]>;
  tally(): Promise<readonly LaneTally[]>;
  /** Numbers at or below `last` of a lane that are not stored, as ranges. */
  absent(key: LaneKey, last: number): Promise<readonly (readonly [first: number, last: number])[]>;
}

export type Access = 'migrate' | 'read';

/** Epochs of one device that an acknowledgement names at most. */
export const mostEpochs = 16;

/** A database cannot take what was to be written, whatever is tried: its content, not its state, is the reason. */
export class Unstorable extends Error {
  override readonly name = 'Unstorable';
}

export function databaseError(code: ErrorCode, name: string, detail: string, cause: unknown): OutpostError {
  return new OutpostError(code, `${name}: ${detail}`, { context: { database: name }, cause });
}

export function checkVersion(found: number, known: number, access: Access, name: string): void {
  const context = { database: name, version: found, known };
  if (found > known) throw new OutpostError('sink-database-newer', undefined, { context });
  if (found < known && access === 'read') {
    throw new OutpostError(found === 0 ? 'sink-database-empty' : 'sink-database-older', undefined, { context });
  }
}

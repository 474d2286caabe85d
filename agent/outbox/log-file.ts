/**
 * SQLite's write-ahead log as a file, for what SQLite itself does not tell.
 *
 *   header: magic, version, page size, checkpoint, salts, checksum    (32 bytes)
 *   frame:  page number, size after commit, salts, checksum | page    (24 + 8192 bytes), again and again
 *
 * A checksum runs through all frames, so recovery ends at the first that does not fit. After a power cut that is the end
 * of what was being written; after a flipped bit, commits that were acknowledged lie behind it. (SQLite, "WAL-mode File
 * Format", sections 1 and 2.)
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { pageBytes } from './schema.ts';

const headerBytes = 32;
const frameHeadBytes = 24;
const frameBytes = frameHeadBytes + pageBytes;
/** Checksums of little-endian words, as every machine that this runs on writes them. */
const magic = 0x377f0682;
const version = 3_007_000;

/** How far a log is confirmed, and which log that is. */
export interface ConfirmedLog {
  readonly bytes: number;
  /** Both salts, hexadecimal. */
  readonly salts: string;
}

/** What the running connection takes for committed, read from its index. @returns undefined when there is none */
export function confirmedLog(database: string): ConfirmedLog | undefined {
  try {
    const index = readFileSync(`${database}-shm`).subarray(0, 48);
    const frames = index.readUInt32LE(16);
    return { bytes: headerBytes + frames * frameBytes, salts: index.toString('hex', 32, 40) };
  } catch {
    // gone with its file system: then there is nothing to cut either
    return undefined;
  }
}

/** Cuts off what a failed commit wrote, so that it is not found again. */
export function cutLog(database: string, { bytes, salts }: ConfirmedLog): void {
  const path = `${database}-wal`;
  if (!existsSync(path)) return;
  const file = openSync(path, 'r+');
  try {
    const head = Buffer.alloc(headerBytes);
    if (readSync(file, head, 0, headerBytes, 0) < headerBytes || head.toString('hex', 16, 24) !== salts) return;
    ftruncateSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Gives the log its full length at once: a commit that makes the file no longer is on the disk sooner, and a full disk
 * finds the log's room taken already. Recovery ends at the zeros.
 */
export function stretchLog(database: string, frames: number): void {
  const goal = headerBytes + frames * frameBytes;
  let file: number | undefined;
  try {
    file = openSync(`${database}-wal`, 'r+');
    const from = fstatSync(file).size;
    const zeros = Buffer.alloc(64 * 1024);
    for (let at = from; at < goal; at += zeros.length) writeSync(file, zeros, 0, Math.min(zeros.length, goal - at), at);
    fsyncSync(file);
  } catch {
    // no room, or no log yet: it grows as it is written
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

export interface Recovery {
  /** Where SQLite's recovery will end: behind the last commit that is whole up to there. */
  readonly end: ConfirmedLog;
  /** How many lie behind it. */
  readonly commitsBeyond: number;
  /** No commit, before or behind. */
  readonly isEmpty: boolean;
}

/** @returns undefined when there is no log, or nothing in it */
export function foreseeRecovery(database: string): Recovery | undefined {
  const log = readLog(database);
  if (!log) return undefined;
  const { frames, sound, salts } = walk(log);
  const committed = frames.slice(0, sound).findLastIndex(({ isCommit }) => isCommit) + 1;
  const commitsBeyond = frames.slice(sound).filter(({ isOurs, isCommit }) => isOurs && isCommit).length;
  const end = { bytes: headerBytes + committed * frameBytes, salts };
  return { end, commitsBeyond, isEmpty: committed + commitsBeyond === 0 };
}

export interface LogFrame {
  /** May be wrong where a bit of the frame's head is. */
  readonly page: number;
  readonly bytes: Buffer;
}

/** Everything up to the last commit, damaged or not. */
export function logFrames(database: string): LogFrame[] {
  const log = readLog(database);
  if (!log) return [];
  const { frames } = walk(log);
  const last = frames.findLastIndex(({ isOurs, isCommit }) => isOurs && isCommit);
  return frames.slice(0, last + 1).map((_frame, index) => {
    const at = headerBytes + index * frameBytes;
    return { page: log.readUInt32BE(at), bytes: log.subarray(at + frameHeadBytes, at + frameBytes) };
  });
}

type Sum = readonly [number, number];
const zero: Sum = [0, 0];

interface Frame {
  /** Of this generation of the log: older ones lie behind the newest until they are written over. */
  readonly isOurs: boolean;
  readonly isCommit: boolean;
}

function readLog(database: string): Buffer | undefined {
  const path = `${database}-wal`;
  const log = existsSync(path) ? readFileSync(path) : undefined;
  // Words are read at multiples of four: a pooled buffer may begin anywhere.
  return log && log.length >= headerBytes + frameBytes ? Buffer.from(new Uint8Array(log).buffer) : undefined;
}

/** @returns all frames, how many of them recovery will take, and the salts of this generation */
function walk(log: Buffer): { frames: Frame[]; sound: number; salts: string } {
  const count = Math.floor((log.length - headerBytes) / frameBytes);
  let sum = checksum(log, 0, 24, zero);
  const isHeaderSound =
    log.readUInt32BE(0) === magic &&
    log.readUInt32BE(8) === pageBytes &&
    fits(log, 24, sum) &&
    log.readUInt32BE(4) === version;
  const salts = isHeaderSound ? log.toString('hex', 16, 24) : saltsOf(log, count);
  const frames: Frame[] = [];
  let sound = 0;
  for (let index = 0; index < count; index += 1) {
    const at = headerBytes + index * frameBytes;
    const own = log.toString('hex', at + 8, at + 16);
    frames.push({ isOurs: isAlike(own, salts), isCommit: log.readUInt32BE(at + 4) !== 0 });
    if (!isHeaderSound || sound !== index || own !== salts) continue;
    sum = checksum(log, at + frameHeadBytes, pageBytes, checksum(log, at, 8, sum));
    if (fits(log, at + 16, sum)) sound = index + 1;
  }
  return { frames, sound, salts };
}

/** What most of a damaged header and the first frames say. */
function saltsOf(log: Buffer, count: number): string {
  const places = [16, ...Array.from({ length: Math.min(3, count) }, (_none, n) => headerBytes + n * frameBytes + 8)];
  const said = places.map((at) => log.toString('hex', at, at + 8));
  const votes = (salts: string): number => said.filter((other) => other === salts).length;
  return said.reduce((best, salts) => (votes(salts) > votes(best) ? salts : best));
}

/** One of the two: the first counts the generations, the second is drawn for each, and a damaged frame is still ours. */
const isAlike = (one: string, other: string): boolean =>
  one.slice(0, 8) === other.slice(0, 8) || one.slice(8) === other.slice(8);

function checksum(log: Buffer, from: number, bytes: number, [begin1, begin2]: Sum): Sum {
  const words = new Uint32Array(log.buffer, log.byteOffset + from, bytes / 4);
  let [one, two] = [begin1, begin2];
  for (let at = 0; at < words.length; at += 2) {
    one = (one + (words[at] ?? 0) + two) >>> 0;
    two = (two + (words[at + 1] ?? 0) + one) >>> 0;
  }
  return [one, two];
}

const fits = (log: Buffer, at: number, [one, two]: Sum): boolean =>
  log.readUInt32BE(at) === one && log.readUInt32BE(at + 4) === two;

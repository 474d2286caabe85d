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

/** @returns commits that lie behind the place where recovery will end */
export function commitsBeyondRecovery(database: string): number {
  const log = readLog(database);
  if (!log) return 0;
  const { frames, sound } = walk(log);
  return frames.slice(sound).filter(({ isOurs, isCommit }) => isOurs && isCommit).length;
}

/** Makes every checksum fit, so that SQLite reads all of it; what is damaged then shows in its rows. */
export function mendLog(database: string): void {
  const log = readLog(database);
  if (!log) return;
  const { frames, salts } = walk(log);
  const last = frames.findLastIndex(({ isOurs, isCommit }) => isOurs && isCommit);
  log.writeUInt32BE(magic, 0);
  log.writeUInt32BE(version, 4);
  log.writeUInt32BE(pageBytes, 8);
  log.write(salts, 16, 'hex');
  let sum = checksum(log, 0, 24, zero);
  writeSum(log, 24, sum);
  for (let index = 0; index <= last; index += 1) {
    const at = headerBytes + index * frameBytes;
    log.write(salts, at + 8, 'hex');
    if (log.readUInt32BE(at) === 1) mendHead(log.subarray(at + frameHeadBytes, at + frameBytes));
    sum = checksum(log, at + frameHeadBytes, pageBytes, checksum(log, at, 8, sum));
    writeSum(log, at + 16, sum);
  }
  const file = openSync(`${database}-wal`, 'r+');
  try {
    writeSync(file, log, 0, log.length, 0);
    ftruncateSync(file, headerBytes + (last + 1) * frameBytes);
  } finally {
    closeSync(file);
  }
}

/** What each of our databases begins with: SQLite's file format 1.3, sections 1.3.1 to 1.3.13; without it nothing is read. */
function mendHead(page: Buffer): void {
  page.write('SQLite format 3\0', 0, 'latin1');
  page.writeUInt16BE(pageBytes, 16);
  // write-ahead log, to write and to read; nothing reserved; fractions that are always these
  page.set([2, 2, 0, 64, 32, 32], 18);
  // schema format 4, no vacuum, UTF-8
  page.writeUInt32BE(4, 44);
  page.writeUInt32BE(0, 52);
  page.writeUInt32BE(1, 56);
  page.writeUInt32BE(0, 64);
}

/** The same in the database file, if it still says that it is ours. */
export function mendDatabaseHead(database: string): void {
  const file = openSync(database, 'r+');
  try {
    const head = Buffer.alloc(100);
    const isWhole = readSync(file, head, 0, head.length, 0) === head.length;
    if (!isWhole || head.toString('latin1', 68, 72) !== 'OUTP') return;
    mendHead(head);
    writeSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
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
  const salts = isHeaderSound ? log.toString('hex', 16, 24) : log.toString('hex', headerBytes + 8, headerBytes + 16);
  const frames: Frame[] = [];
  let sound = 0;
  for (let index = 0; index < count; index += 1) {
    const at = headerBytes + index * frameBytes;
    const isOurs = log.toString('hex', at + 8, at + 16) === salts;
    frames.push({ isOurs, isCommit: log.readUInt32BE(at + 4) !== 0 });
    if (!isHeaderSound || sound !== index || !isOurs) continue;
    sum = checksum(log, at + frameHeadBytes, pageBytes, checksum(log, at, 8, sum));
    if (fits(log, at + 16, sum)) sound = index + 1;
  }
  return { frames, sound, salts };
}

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

function writeSum(log: Buffer, at: number, [one, two]: Sum): void {
  log.writeUInt32BE(one, at);
  log.writeUInt32BE(two, at + 4);
}

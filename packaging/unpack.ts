/**
 * Puts the content of the binary on disk, once: native libraries can be loaded from files only.
 *
 *   for each file: there, and its sha256 right? -> leave it
 *                  else asset -> decompress -> check -> temporary file -> fsync -> rename over
 *
 * Every rename is whole and writes the same bytes, so several starts at once need no lock, and a library that another
 * process has loaded keeps its old inode. Synchronous: nothing else of the program can run before it.
 */
import { createHash, hash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import type { CacheChoice } from '#agent/core/cache-folder.ts';
import { type Machine, toRelative } from './branches.ts';
import { type Content, type ContentFile, isCode } from './content.ts';

/** The compressed bytes of an asset, by its name. */
export type ReadAsset = (name: string) => Uint8Array;

/**
 * @returns the folder that holds the whole content, each file checked
 * @throws OutpostError `cache-unusable`, `cache-full`, `program-damaged`
 */
export function unpack(
  content: Pick<Content, 'hash' | 'files'>,
  readAsset: ReadAsset,
  choices: readonly CacheChoice[],
  user: number,
): string {
  let failure: unknown;
  for (const { folder, named } of choices) {
    try {
      return unpackInto(folder, content, readAsset, user);
    } catch (thrown) {
      failure ??= thrown;
      const cannotUse = thrown instanceof OutpostError && thrown.code === 'cache-unusable';
      if (named || !cannotUse) throw thrown;
    }
  }
  throw failure;
}

/** Where a content lies in a cache. */
export const contentFolder = (cache: string, content: Pick<Content, 'hash'>): string =>
  join(cache, content.hash.slice(0, 32));

/** Whether files of the content lie whole in a folder that nobody else can write to. */
export function isUsable(folder: string, files: readonly ContentFile[], user: number): boolean {
  try {
    refuseForeign(dirname(folder), user);
    refuseForeign(folder, user);
  } catch {
    return false;
  }
  return files.every((file) => isIntact(join(folder, file.path), file));
}

function unpackInto(
  cache: string,
  content: Pick<Content, 'hash' | 'files'>,
  readAsset: ReadAsset,
  user: number,
): string {
  const folder = contentFolder(cache, content);
  try {
    makeFolder(folder);
    refuseForeign(cache, user);
    refuseForeign(folder, user);
    for (const file of content.files) restore(folder, file, readAsset);
  } catch (thrown) {
    throw explain(thrown, cache);
  }
  return folder;
}

/** With those above it. Node's own recursive mkdir never returns below /proc, where making a folder answers ENOENT. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (thrown) {
    if (systemCode(thrown) !== 'EEXIST') throw thrown;
  }
}

/** A folder that another user can write to could be given other libraries between the check and the loading. */
function refuseForeign(folder: string, user: number): void {
  const found = lstatSync(folder);
  if (found.isDirectory() && found.uid === user && (found.mode & 0o022) === 0) return;
  throw new OutpostError('cache-unusable', `${folder} belongs to another user, or others may write to it.`);
}

function restore(folder: string, file: ContentFile, readAsset: ReadAsset): void {
  const path = join(folder, file.path);
  if (isIntact(path, file)) return;
  const bytes = decompress(file, readAsset);
  makeFolder(dirname(path));
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    writeDurably(temporary, bytes);
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw thrown;
  }
}

function isIntact(path: string, file: ContentFile): boolean {
  try {
    const found = lstatSync(path);
    return found.isFile() && found.size === file.bytes && hashOf(path) === file.sha256;
  } catch {
    return false;
  }
}

/** In pieces: whole libraries in memory would stay in the process's footprint until the next collection. */
function hashOf(path: string): string {
  const hashing = createHash('sha256');
  const descriptor = openSync(path, 'r');
  try {
    for (;;) {
      const length = readSync(descriptor, piece);
      if (length === 0) return hashing.digest('hex');
      hashing.update(piece.subarray(0, length));
    }
  } finally {
    closeSync(descriptor);
  }
}

const piece = Buffer.allocUnsafe(1 << 19);

function decompress(file: ContentFile, readAsset: ReadAsset): Buffer {
  let bytes: Buffer;
  try {
    bytes = zstdDecompressSync(readAsset(file.path), { maxOutputLength: Math.max(file.bytes, 1) });
  } catch (cause) {
    throw new OutpostError('program-damaged', `${file.path} inside it cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (isCode(file.path)) toRelative(bytes, process.arch as Machine);
  if (hash('sha256', bytes) !== file.sha256) {
    throw new OutpostError('program-damaged', `${file.path} inside it is not what was built.`);
  }
  return bytes;
}

function writeDurably(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'wx', 0o500);
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function explain(thrown: unknown, cache: string): OutpostError {
  if (thrown instanceof OutpostError) return thrown;
  const code = systemCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new OutpostError('cache-full', `There is no space in ${cache} to unpack Outpost.`, { cause: thrown });
  }
  return new OutpostError('cache-unusable', `Outpost cannot unpack itself into ${cache}: ${messageOf(thrown)}`, {
    cause: thrown,
  });
}

/**
 * What other versions of the program have unpacked into the same cache goes when nobody has used it for long: an upgrade
 * would otherwise leave 70 MB for ever. A version that still runs, or that is gone back to, unpacks itself again.
 */
import { lstatSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const unusedMs = 14 * 24 * 3_600_000;
/** As contentFolder names them; nothing else in a cache is ours. */
const nameOfContent = /^[0-9a-f]{32}$/;

/** @param folder where the content lies that is used now */
export function stampUse(folder: string, nowMs: number): void {
  try {
    utimesSync(folder, nowMs / 1_000, nowMs / 1_000);
  } catch {
    // a folder that can only be read is nobody's to clean
  }
}

/**
 * Never throws: a cache that cannot be cleaned is only large.
 * @param folder where the content lies that is used now
 * @returns the folders that were removed
 */
export function removeUnused(folder: string, user: number, nowMs: number): readonly string[] {
  const cache = dirname(folder);
  try {
    const others = readdirSync(cache).filter((name) => nameOfContent.test(name) && name !== basename(folder));
    return others.map((name) => join(cache, name)).filter((other) => isUnused(other, user, nowMs) && isRemoved(other));
  } catch {
    return [];
  }
}

function isUnused(folder: string, user: number, nowMs: number): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === user && nowMs - found.mtimeMs > unusedMs;
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

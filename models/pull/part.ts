/**
 * A file while it is being written: seen under its own name only when it is whole and on the disk.
 *
 *   NAME.part            left by a pull that stopped: whoever renames it first goes on with it
 *   NAME.PID.RANDOM.part being written by that process; taken over when the process is gone
 *   NAME                 whole, by one rename
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';

/** Takes up what an earlier pull left, or a new name: two pulls at once never share one. */
export async function claimPart(target: string): Promise<string> {
  const folder = dirname(target);
  await writing(target, async () => await mkdir(folder, { recursive: true }));
  const mine = join(folder, `${basename(target)}.${process.pid}.${randomBytes(4).toString('hex')}.part`);
  for (const left of await leftovers(target)) {
    try {
      await rename(join(folder, left), mine);
      return mine;
    } catch (thrown) {
      if (systemCode(thrown) !== 'ENOENT') throw unwritable(target, thrown);
    }
  }
  return mine;
}

/** Leaves it for a later pull to go on with. */
export async function releasePart(part: string, target: string): Promise<void> {
  await rename(part, `${target}.part`).catch(() => undefined);
}

export async function dropPart(part: string): Promise<void> {
  await rm(part, { force: true });
}

/** One rename, then the folder itself: a power cut leaves the old file or the new one. */
export async function completePart(part: string, target: string): Promise<void> {
  await writing(target, async () => {
    await rename(part, target);
    await using folder = await open(dirname(target));
    await folder.sync();
  });
}

/** The file whole under its name, or not at all. */
export async function placeFile(target: string, content: Uint8Array | { readonly copyOf: string }): Promise<void> {
  const part = await claimPart(target);
  try {
    await writing(target, async () => {
      if ('copyOf' in content) await copyFile(content.copyOf, part);
      await using file = await open(part, 'copyOf' in content ? 'r+' : 'w');
      if (!('copyOf' in content)) await file.writeFile(content);
      await file.sync();
    });
    await completePart(part, target);
  } catch (thrown) {
    await dropPart(part);
    throw thrown;
  }
}

/** @throws OutpostError `models-unwritable` in the place of any file system error */
export async function writing<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw thrown instanceof OutpostError ? thrown : unwritable(target, thrown);
  }
}

const unwritable = (target: string, cause: unknown): OutpostError =>
  new OutpostError('models-unwritable', `${target} cannot be written: ${messageOf(cause)}`, { cause });

async function leftovers(target: string): Promise<readonly string[]> {
  const name = basename(target);
  const names = await readdir(dirname(target));
  return names.filter((each) => {
    if (each === `${name}.part`) return true;
    if (!each.startsWith(`${name}.`) || !each.endsWith('.part')) return false;
    const pid = /^\.(\d+)\.[0-9a-f]{8}\.part$/.exec(each.slice(name.length))?.[1];
    return pid !== undefined && !isRunning(Number(pid));
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemCode(thrown) === 'EPERM';
  }
}

/**
 * What ffmpeg said of itself, kept between starts: asking costs a tenth of a second of processor time at the very moment
 * in which everything else loads.
 *
 *   path, size, times and inode of the file --the same as when it was asked?--> its answer
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Nothing in it becomes an argument as it stands. */
export interface FfmpegAnswer {
  /** As ffmpeg says it: one word. */
  readonly version: string;
  readonly hasFpsMode: boolean;
  readonly hasStimeout: boolean;
  readonly hasShowinfoChecksum: boolean;
}

interface Kept {
  readonly file: string;
  readonly answer: FfmpegAnswer;
}

const mostBytes = 4_096;

/**
 * @param memory the file that it is kept in
 * @returns undefined when this very ffmpeg was never asked, or what was kept makes no sense
 */
export async function remembered(memory: string, path: string): Promise<FfmpegAnswer | undefined> {
  try {
    const text = await readFile(memory, 'utf8');
    const kept: unknown = JSON.parse(text.slice(0, mostBytes));
    return isKept(kept) && kept.file === (await identityOf(path)) ? kept.answer : undefined;
  } catch {
    // the first start, or no folder for it: it is asked
    return undefined;
  }
}

export async function remember(memory: string, path: string, given: FfmpegAnswer): Promise<void> {
  const passing = `${memory}.${process.pid}`;
  try {
    // Not its parents: a home that does not exist is not made.
    await mkdir(dirname(memory)).catch(() => undefined);
    const kept: Kept = { file: await identityOf(path), answer: given };
    // never through a link that somebody else laid into a shared folder
    await writeFile(passing, JSON.stringify(kept), { flag: 'wx', mode: 0o600 });
    await rename(passing, memory);
  } catch {
    // a read-only or full disk: it is asked again at the next start
  }
}

/** An update of the package makes another file of it. */
async function identityOf(path: string): Promise<string> {
  const { size, mtimeMs, ctimeMs, ino } = await stat(path);
  return JSON.stringify([path, size, mtimeMs, ctimeMs, ino]);
}

/** By hand: a schema would be the only one in the inference child, and loading the library for it takes what is saved. */
function isKept(value: unknown): value is Kept {
  const { file, answer } = value as Partial<Kept>;
  const flags = [answer?.hasFpsMode, answer?.hasStimeout, answer?.hasShowinfoChecksum];
  return (
    typeof file === 'string' &&
    typeof answer?.version === 'string' &&
    /^\S{1,200}$/.test(answer.version) &&
    flags.every((flag) => typeof flag === 'boolean')
  );
}

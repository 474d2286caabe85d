/**
 * Finds ffmpeg once and asks it what it knows, so that every version from 4.1 to 7 is driven alike.
 *
 *   OUTPOST_FFMPEG, PATH, the development package --asked--> Ffmpeg {path, version, options}
 */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { packaged } from '#agent/core/program.ts';
import { type FfmpegAnswer, remember, remembered } from './ffmpeg-memory.ts';

const run = promisify(execFile);
const answerLimitMs = 20_000;
const oldest = [4, 1] as const;

export interface Ffmpeg {
  readonly path: string;
  /** As it says itself, such as `5.1.9-0+deb12u1`. */
  readonly version: string;
  /** Hands on every decoded frame as it is: never doubled, never left out. */
  readonly passthrough: readonly string[];
  /** The option that limits how long an RTSP socket may be silent, in microseconds. */
  readonly rtspTimeout: string;
  /** Options of the filter `showinfo` that keep it from adding up every pixel. */
  readonly showinfo: string;
  /** Put before the command, so that the kernel ends ffmpeg with us; empty where that is not to be had. */
  readonly tether: readonly string[];
}

export interface FindOptions {
  /** Instead of OUTPOST_FFMPEG and everything after it. */
  readonly explicitPath?: string | undefined;
  /** A file that keeps what it said, for the next start; absent: it is asked. */
  readonly memory?: string;
}

/** @throws OutpostError `ffmpeg-missing`, `ffmpeg-unusable` */
export async function findFfmpeg({ explicitPath, memory }: FindOptions = {}): Promise<Ffmpeg> {
  const named = explicitPath ?? process.env['OUTPOST_FFMPEG'];
  const path = named ? await onPath(named) : ((await onPath('ffmpeg')) ?? (await developmentFfmpeg()));
  if (path) return await aboutFfmpeg(path, memory);
  throw new OutpostError('ffmpeg-missing', named ? `There is no ffmpeg at ${named}.` : undefined);
}

async function onPath(name: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.length > 0);
  const candidates = isAbsolute(name) || name.includes('/') ? [name] : folders.map((folder) => join(folder, name));
  for (const candidate of candidates) {
    if (await canRun(candidate)) return candidate;
  }
  return undefined;
}

const canRun = async (path: string): Promise<boolean> =>
  await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** The static build that npm installs for development; it never ships. */
export async function developmentFfmpeg(): Promise<string | undefined> {
  if (packaged()) return undefined;
  try {
    const installer: unknown = createRequire(import.meta.url)('@ffmpeg-installer/ffmpeg');
    const path = (installer as { readonly path?: unknown }).path;
    return typeof path === 'string' && (await canRun(path)) ? path : undefined;
  } catch {
    // not installed, or not made for this machine
    return undefined;
  }
}

async function aboutFfmpeg(path: string, memory: string | undefined): Promise<Ffmpeg> {
  const [answer, tether] = await Promise.all([answerOf(path, memory), findTether()]);
  requireVersion(path, answer.version);
  return { path, version: answer.version, tether, ...optionsOf(answer) };
}

async function answerOf(path: string, memory: string | undefined): Promise<FfmpegAnswer> {
  if (memory === undefined) return await ask(path);
  const before = await remembered(memory, path);
  if (before) return before;
  const answer = await ask(path);
  await remember(memory, path, answer);
  return answer;
}

/** One question: each costs a start. */
async function ask(path: string): Promise<FfmpegAnswer> {
  try {
    const options = { timeout: answerLimitMs, maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' as const };
    const { stdout: help, stderr: banner } = await run(path, ['-h', 'full'], options);
    const version = parseVersion(banner) ?? parseVersion(help);
    if (!version) throw new Error('it does not name its version');
    return { version, ...parseHelp(help) };
  } catch (cause) {
    throw new OutpostError('ffmpeg-unusable', `${path} cannot be used: ${messageOf(cause).split('\n')[0]}`, { cause });
  }
}

/** What its full help says that it understands: names changed between 4.1 and 7. */
export const parseHelp = (help: string): Omit<FfmpegAnswer, 'version'> => ({
  hasFpsMode: /^-fps_mode\b/m.test(help),
  hasStimeout: /^ +-stimeout\b/m.test(help),
  hasShowinfoChecksum: /^showinfo AVOptions:\n +checksum\b/m.test(help),
});

export const optionsOf = (
  answer: Omit<FfmpegAnswer, 'version'>,
): Pick<Ffmpeg, 'passthrough' | 'rtspTimeout' | 'showinfo'> => ({
  passthrough: answer.hasFpsMode ? ['-fps_mode', 'passthrough'] : ['-vsync', '0'],
  rtspTimeout: answer.hasStimeout ? '-stimeout' : '-timeout',
  showinfo: answer.hasShowinfoChecksum ? '=checksum=0' : '',
});

export const parseVersion = (text: string): string | undefined => /^ffmpeg version (\S+)/m.exec(text)?.[1];

/** Builds from a repository carry no number (`N-47683-…`): they are taken as they are. */
function requireVersion(path: string, version: string): void {
  const numbers = /^n?(\d+)\.(\d+)/.exec(version);
  if (!numbers) return;
  const [major, minor] = [Number(numbers[1]), Number(numbers[2])];
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return;
  throw new OutpostError('ffmpeg-unusable', `${path} is version ${version}; ${oldest.join('.')} or newer is needed.`);
}

/** util-linux's setpriv sets PR_SET_PDEATHSIG (prctl(2)) and then becomes ffmpeg: no process more. */
async function findTether(): Promise<readonly string[]> {
  const setpriv = await onPath('setpriv');
  if (!setpriv) return [];
  const tether = [setpriv, '--pdeathsig', 'KILL', '--'];
  return await run(setpriv, [...tether.slice(1), 'true'], { timeout: answerLimitMs }).then(
    () => tether,
    () => [],
  );
}

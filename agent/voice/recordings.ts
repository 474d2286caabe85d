/**
 * What is to be said as a WAV file of the right loudness: a recording, or text that espeak-ng speaks.
 *
 *   text --espeak-ng--> WAV --+
 *   file ---------------------+--volume--> {folder}/KEY.wav, kept for the next time
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, systemCode } from '#agent/core/errors.ts';
import { runProgram } from '#agent/core/run-program.ts';
import type { VoiceConfig } from '#config/schema.ts';
import { atVolume, readWave, type Wave } from './wave.ts';

/** A recording, or a text with the voice that speaks it. */
export type Saying =
  | { readonly is: 'file'; readonly path: string }
  | { readonly is: 'text'; readonly text: string; readonly language: 'zh' | 'en'; readonly isKept: boolean };

export interface Recording {
  readonly path: string;
  readonly lengthMs: number;
}

/** Ten minutes in stereo at 48 kHz; more is a mistake. */
const mostBytes = 120 * 1_024 * 1_024;
const speakWithinMs = 20_000;
const once = 'once';

export class Recordings {
  readonly #config: Pick<VoiceConfig, 'voices' | 'speed'>;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #used = new Set<string>();

  constructor(config: Pick<VoiceConfig, 'voices' | 'speed'>, folder: string, clock: Clock) {
    this.#config = config;
    this.#folder = folder;
    this.#clock = clock;
  }

  /** @returns why nothing can be kept: recordings at their own loudness are played all the same */
  async begin(): Promise<string | undefined> {
    return await mkdir(this.#folder, { recursive: true, mode: 0o750 }).then(
      () => undefined,
      (thrown: unknown) => `${this.#folder} cannot be used: ${messageOf(thrown)}`,
    );
  }

  /** What an older configuration said goes; what was asked for since the start stays, for the disk may be full tomorrow. */
  async forgetOthers(): Promise<void> {
    await this.#forget((name) => !this.#used.has(name.split(/[-.]/)[0] ?? ''));
  }

  /** What somebody said through the device is nobody's to find. */
  async forgetOnce(): Promise<void> {
    await this.#forget((name) => name.split(/[-.]/)[0] === once);
  }

  async #forget(isForgotten: (name: string) => boolean): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names.filter((each) => each.includes('.wav') && isForgotten(each)))
      await rm(join(this.#folder, name), { force: true });
  }

  /** @returns the file to play, or why there is none */
  async prepare(saying: Saying, percent: number, signal: AbortSignal): Promise<Recording | string> {
    const source = saying.is === 'file' ? await readRecording(saying.path) : await this.#speak(saying, signal);
    if (typeof source === 'string') return source;
    const { bytes, wave, path, key } = source;
    this.#used.add(key);
    if (percent === 100) return { path, lengthMs: wave.lengthMs };
    const scaled = join(this.#folder, `${key}-${percent}.wav`);
    try {
      if (!(await exists(scaled)) || !isKept(saying)) await writeWhole(scaled, atVolume(bytes, wave, percent));
    } catch (thrown) {
      return `${scaled} cannot be written: ${messageOf(thrown)}`;
    }
    return { path: scaled, lengthMs: wave.lengthMs };
  }

  async #speak(saying: Saying & { is: 'text' }, signal: AbortSignal): Promise<Source | string> {
    const { voices, speed } = this.#config;
    const voice = voices[saying.language];
    const key = saying.isKept ? keyOf(voice, String(speed), saying.text) : once;
    const path = join(this.#folder, `${key}.wav`);
    if (!saying.isKept || !(await exists(path))) {
      const fresh = `${path}.new`;
      // by stdin: never an option, never in the list of processes
      const command = ['espeak-ng', '-v', voice, '-s', String(speed), '-b', '1', '-w', fresh, '--stdin'];
      const input = `${saying.text}\n`;
      const ran = await runProgram(command, { clock: this.#clock, limitMs: speakWithinMs, input, signal });
      if (ran.is === 'missing') return 'espeak-ng is not installed, and so texts are not spoken';
      if (ran.is !== 'exited' || ran.code !== 0)
        return `espeak-ng did not speak (${ran.is === 'exited' ? `exit ${ran.code}` : ran.is}): ${ran.complaint}`;
      const renamed = await rename(fresh, path).catch((thrown: unknown) => messageOf(thrown));
      if (typeof renamed === 'string') return `espeak-ng wrote nothing: ${renamed}`;
    }
    return await readRecording(path, key);
  }
}

const isKept = (saying: Saying): boolean => saying.is === 'file' || saying.isKept;

interface Source {
  readonly bytes: Uint8Array;
  readonly wave: Wave;
  readonly path: string;
  /** Names what it sounds like. */
  readonly key: string;
}

/** @returns the recording, or what is wrong with it */
export async function readRecording(path: string, key?: string): Promise<Source | string> {
  try {
    const { size, mtimeMs } = await stat(path);
    if (size > mostBytes) return `${path} is larger than ${mostBytes / 1_024 / 1_024} MiB`;
    const bytes = await readFile(path);
    const wave = readWave(bytes);
    if (typeof wave === 'string') return `${path} ${wave}`;
    return { bytes, wave, path, key: key ?? keyOf(path, String(size), String(mtimeMs)) };
  } catch (thrown) {
    return systemCode(thrown) === 'ENOENT' ? `${path} is not there` : `${path} cannot be read: ${messageOf(thrown)}`;
  }
}

const keyOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);

const exists = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    () => false,
  );

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, bytes, { mode: 0o640 });
  await rename(`${path}.new`, path);
}

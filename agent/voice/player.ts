/** Plays one file by a program of the system, and ends it when it hangs. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '#agent/core/clock.ts';
import { runProgram } from '#agent/core/run-program.ts';
import type { VoiceConfig } from '#config/schema.ts';
import type { Recording } from './recordings.ts';

export interface PlayerOptions {
  readonly config: Pick<VoiceConfig, 'player' | 'device'>;
  readonly clock: Clock;
  /** What a player may take beyond the file's length: opening the device, emptying its buffer. */
  readonly slackMs?: number;
}

const defaultSlackMs = 5_000;

export class Player {
  readonly #commands: readonly (readonly string[])[];
  readonly #clock: Clock;
  readonly #slackMs: number;

  constructor({ config: { player, device }, clock, slackMs = defaultSlackMs }: PlayerOptions) {
    const aplay = ['aplay', '-q', ...(device === undefined ? [] : ['-D', device])];
    this.#commands = player.length > 0 ? [player] : [aplay, ['pw-play'], ['paplay']];
    this.#clock = clock;
    this.#slackMs = slackMs;
  }

  /** @returns why it was not heard, or undefined when it was, or was broken off by the signal */
  async play({ path, lengthMs }: Recording, signal: AbortSignal): Promise<string | undefined> {
    const limitMs = lengthMs + this.#slackMs;
    for (const command of this.#commands) {
      const ran = await runProgram([...command, path], { clock: this.#clock, limitMs, signal });
      if (ran.is === 'aborted') return undefined;
      if (ran.is === 'overdue') return `${command[0]} hung and was ended`;
      if (ran.is === 'exited') {
        return ran.code === 0 ? undefined : `${command[0]} ended with ${ran.code}: ${ran.complaint}`.slice(0, 200);
      }
    }
    return `no player is installed: ${this.#commands.map(([program]) => program).join(', ')}`;
  }
}

/** @returns whether the kernel has a device that plays */
export async function hasSoundDevice(pcm = '/proc/asound/pcm'): Promise<boolean> {
  const text = await readFile(pcm, 'utf8').catch(() => '');
  return /\bplayback\b/.test(text);
}

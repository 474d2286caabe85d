/** espeak-ng and aplay, for real: what is spoken has sound, of a plausible length, in both languages, and can be played. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { tone } from '#agent/testing/tone.ts';
import { parseConfig } from '#config/load.ts';
import { Player } from './player.ts';
import { Recordings, type Recording, type Saying } from './recordings.ts';
import { peakOf, readWave } from './wave.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'outpost-speech-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const text = (words: string, language: 'zh' | 'en', isKept = true): Saying => ({
  is: 'text',
  text: words,
  language,
  isKept,
});

async function speak(saying: Saying, percent = 100): Promise<Recording & { readonly peak: number }> {
  const recordings = new Recordings(parseConfig({}).voice, folder, clock);
  const prepared = await recordings.prepare(saying, percent, never);
  if (typeof prepared === 'string') throw new Error(prepared);
  const bytes = await readFile(prepared.path);
  const wave = readWave(bytes);
  if (typeof wave === 'string') throw new Error(wave);
  return { ...prepared, peak: peakOf(bytes, wave) };
}

describeWith('a text', [needsProgram('espeak-ng')], () => {
  it.each<[string, 'zh' | 'en', number, number]>([
    ['请立即离开此区域。', 'zh', 1_000, 6_000],
    ['请出示您的身份证，然后在屏幕上选择您要办理的业务。', 'zh', 3_000, 15_000],
    ['Please leave this area at once.', 'en', 1_000, 5_000],
  ])('%s is spoken', async (words, language, least, most) => {
    const { lengthMs, peak } = await speak(text(words, language));
    expect(lengthMs).toBeGreaterThan(least);
    expect(lengthMs).toBeLessThan(most);
    expect(peak).toBeGreaterThan(0.1);
  });

  it('twice as long takes about twice as long', async () => {
    const once = await speak(text('请离开此区域。', 'zh'));
    const twice = await speak(text('请离开此区域。请离开此区域。', 'zh'));
    expect(twice.lengthMs / once.lengthMs).toBeGreaterThan(1.5);
  });

  it('is spoken more quietly by night', async () => {
    const loud = await speak(text('Good evening.', 'en'));
    const quiet = await speak(text('Good evening.', 'en'), 25);
    expect(quiet.lengthMs).toBe(loud.lengthMs);
    expect(quiet.peak / loud.peak).toBeCloseTo(0.25, 2);
  });

  it('of somebody who speaks through the device is not kept', async () => {
    const recordings = new Recordings(parseConfig({}).voice, folder, clock);
    const prepared = await recordings.prepare(text('Only once.', 'en', false), 50, never);
    expect(typeof prepared === 'string' ? '' : basename(prepared.path)).toBe('once-50.wav');
    const kept = await recordings.prepare(text('Always.', 'en'), 50, never);
    await recordings.forgetOnce();
    expect((await readdir(folder)).filter((name) => name.startsWith('once'))).toEqual([]);
    expect(typeof kept !== 'string' && existsSync(kept.path)).toBe(true);
    await new Recordings(parseConfig({}).voice, folder, clock).forgetOthers();
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(['--help', '-w /dev/null', `$(touch FOLDER/pwned)`, '`touch FOLDER/pwned`; touch FOLDER/pwned', '"\'\\'])(
    'is never a command or an option: %s',
    async (words) => {
      await speak(text(`${words.replaceAll('FOLDER', folder)} word`, 'en', false));
      expect(existsSync(join(folder, 'pwned'))).toBe(false);
    },
  );
});

describeWith('aplay', [needsProgram('aplay', 'alsa-utils')], () => {
  const play = async (device: string): Promise<string | undefined> => {
    const path = join(folder, 'tone.wav');
    await writeFile(path, tone({ seconds: 0.1, peak: 0.5 }));
    const { voice } = parseConfig({ voice: { device } });
    return await new Player({ config: voice, clock }).play({ path, lengthMs: 100 }, never);
  };

  it('takes our files, on ALSA’s device that makes no sound', async () => {
    expect(await play('null')).toBeUndefined();
  });

  it('says why it does not play', async () => {
    expect(await play('no-such-device')).toMatch(/^aplay ended with 1: /);
  });
});

it('a voice that is none is a fault, and names itself', async () => {
  const config = parseConfig({ voice: { voices: { en: 'nobody' } } }).voice;
  const prepared = await new Recordings(config, folder, clock).prepare(text('word', 'en'), 100, never);
  expect(prepared).toMatch(/espeak-ng/);
});

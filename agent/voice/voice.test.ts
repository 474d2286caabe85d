/** The voice with a stand-in player: order, interruption, mute, volume, sirens, and players that fail. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { StandInPlayer } from '#agent/testing/stand-in-player.ts';
import { tone } from '#agent/testing/tone.ts';
import type { ConfigInput } from '#config/load.ts';
import { parseConfig } from '#config/load.ts';
import type { Announcement, Ending } from './announcement.ts';
import { Voice, type VoiceOptions } from './voice.ts';
import { peakOf, readWave } from './wave.ts';

type VoiceInput = NonNullable<ConfigInput['voice']>;
type AnnouncementInput = NonNullable<VoiceInput['announcements']>[number];

let folder: string;
let player: StandInPlayer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-voice-'));
  player = await StandInPlayer.make(folder);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

interface Rig extends AsyncDisposable {
  readonly voice: Voice;
  readonly health: Health;
  /** `siren on {"on":true}` and so on, in order. */
  readonly acts: readonly string[];
  say(announcement: Announcement): Promise<Ending>;
}

/** Each announcement has a recording of its own name. */
async function rigOf(
  announcements: readonly AnnouncementInput[],
  more: VoiceInput = {},
  options: Partial<VoiceOptions> = {},
): Promise<Rig> {
  const recorded = await Promise.all(
    announcements.map(async (each) =>
      each.text === undefined && each.file === undefined
        ? { ...each, file: { en: await player.recording(each.id, tone({ seconds: 0.05, peak: 0.8 })) } }
        : each,
    ),
  );
  const config = parseConfig({
    peripherals: [{ id: 'siren', driver: 'nmea-gnss', port: '/dev/null' }],
    voice: { player: [player.path], volume: 100, alarmVolume: 100, ...more, announcements: recorded },
  }).voice;
  const acts: string[] = [];
  const health = new Health(clock);
  const voice = new Voice({
    config,
    folder: join(folder, 'voice'),
    clock,
    health,
    log: silentLog,
    act: async (peripheral, action, args) => {
      acts.push(`${peripheral} ${action} ${JSON.stringify(args)}`);
      return await Promise.resolve({ status: 'acknowledged' });
    },
    isWithin: () => () => true,
    ...options,
  });
  const stop = new AbortController();
  const running = Promise.all(voice.services().map(async (service) => await service.run(stop.signal)));
  return {
    voice,
    health,
    acts,
    async say(announcement) {
      const announced = voice.announce(announcement);
      if (announced.status === 'refused') throw new Error(announced.reason);
      return await announced.ended;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

const started = async (name: string): Promise<void> =>
  void (await eventually(async () => (await player.log()).includes(`start ${name}`), `${name} plays`));
const starts = async (): Promise<readonly string[]> =>
  (await player.log()).filter((line) => line.startsWith('start')).map((line) => line.slice(6));
const siren = {
  peripheral: 'siren',
  start: { action: 'set', args: { on: true } },
  end: { action: 'set', args: { on: false } },
};
const [sirenOn, sirenOff] = ['siren set {"on":true}', 'siren set {"on":false}'];

describe('the queue', () => {
  it('is said by priority, one at a time', async () => {
    await using rig = await rigOf([
      { id: 'first' },
      { id: 'info' },
      { id: 'warn', priority: 'warning' },
      { id: 'info2' },
    ]);
    await player.hold();
    const all = [rig.say({ id: 'first' })];
    await started('first');
    for (const id of ['info', 'info2', 'warn']) all.push(rig.say({ id }));
    expect(rig.voice.view()).toMatchObject({ playing: 'first', waiting: 3 });
    await player.release();
    expect(await Promise.all(all)).toEqual(['played', 'played', 'played', 'played']);
    expect(await starts()).toEqual(['first', 'warn', 'info', 'info2']);
    expect((await player.log()).filter((line) => line.startsWith('overlap'))).toEqual([]);
  });

  it('is broken by an alarm; what was broken off is said again', async () => {
    await using rig = await rigOf([
      { id: 'info' },
      { id: 'warn', priority: 'warning' },
      { id: 'alarm', priority: 'alarm' },
    ]);
    await player.hold();
    const info = rig.say({ id: 'info' });
    await started('info');
    const warn = rig.say({ id: 'warn' });
    const alarm = rig.say({ id: 'alarm' });
    await started('alarm');
    expect(await player.log()).toContain('killed info');
    await player.release();
    expect(await Promise.all([alarm, warn, info])).toEqual(['played', 'played', 'played']);
    expect(await starts()).toEqual(['info', 'alarm', 'warn', 'info']);
    expect((await player.log()).filter((line) => line.startsWith('overlap'))).toEqual([]);
    expect(rig.voice.view().ended.interrupted).toBe(1);
  });

  it('is not broken by an alarm while an alarm is said', async () => {
    await using rig = await rigOf([
      { id: 'one', priority: 'alarm' },
      { id: 'two', priority: 'alarm' },
    ]);
    await player.hold();
    const one = rig.say({ id: 'one' });
    await started('one');
    const two = rig.say({ id: 'two' });
    await player.release();
    expect(await Promise.all([one, two])).toEqual(['played', 'played']);
    expect(await player.log()).toEqual(['start one', 'end one', 'start two', 'end two']);
  });

  it('forgets what waited for too long, and holds the same once', async () => {
    await using rig = await rigOf([{ id: 'first' }, { id: 'late', expiry: '1ms' }]);
    await player.hold();
    const first = rig.say({ id: 'first' });
    await started('first');
    const late = rig.say({ id: 'late' });
    expect(rig.voice.announce({ id: 'late' })).toEqual({ status: 'refused', reason: 'late waits already.' });
    await clock.sleep(5);
    await player.release();
    expect(await Promise.all([first, late])).toEqual(['played', 'expired']);
    expect(await starts()).toEqual(['first']);
  });

  it('refuses what is not known', async () => {
    await using rig = await rigOf([{ id: 'a' }]);
    expect(rig.voice.announce({ id: 'b' })).toMatchObject({ status: 'refused' });
  });

  it('takes a text of somebody who speaks through the device, within bounds', async () => {
    await using rig = await rigOf([{ id: 'a' }]);
    expect(rig.voice.announce({ text: { en: 'x'.repeat(501) }, priority: 'warning' })).toMatchObject({
      status: 'refused',
    });
    expect(rig.voice.announce({ text: { zh: ' ' }, priority: 'warning' })).toEqual({
      status: 'refused',
      reason: 'There is nothing to say.',
    });
    await player.hold();
    const first = rig.say({ id: 'a' });
    await started('a');
    const words = 'the words themselves';
    expect(rig.voice.announce({ text: { en: words }, priority: 'warning' })).toMatchObject({ status: 'queued' });
    expect(JSON.stringify(rig.voice.view())).not.toContain(words);
    await player.release();
    expect(await first).toBe('played');
  });

  it('says each language as often as is asked', async () => {
    const [zh, en] = [
      await player.recording('zh', tone({ seconds: 0.02, peak: 0.5 })),
      await player.recording('en', tone({ seconds: 0.02, peak: 0.5 })),
    ];
    await using rig = await rigOf([{ id: 'both', file: { zh, en }, repeat: 2 }]);
    expect(await rig.say({ id: 'both' })).toBe('played');
    expect(await starts()).toEqual(['zh', 'en', 'zh', 'en']);
  });
});

describe('events', () => {
  const lowBattery = {
    kind: 'peripheral',
    lane: 'event',
    subject: 'peripheral/ups',
    wallMs: 0,
    monoMs: 0,
    data: { peripheral: 'ups', driver: 'megatec-ups', condition: 'told', event: 'lowBattery' },
  } as const;

  it('set off what is meant by them, and not again within its cooldown', async () => {
    await using rig = await rigOf([
      { id: 'battery', on: [{ kind: 'peripheral', event: 'lowBattery' }], cooldown: '1h' },
      { id: 'other', on: [{ kind: 'peripheral', event: 'onMains' }] },
    ]);
    rig.voice.onEvents([lowBattery]);
    await eventually(() => rig.voice.view().ended.played === 1, 'the announcement');
    rig.voice.onEvents([lowBattery]);
    expect(await rig.say({ id: 'battery' })).toBe('played');
    expect(await starts()).toEqual(['battery', 'battery']);
  });
});

describe('the mute', () => {
  it('ends what is said, keeps out what comes, and lets alarms through', async () => {
    await using rig = await rigOf([{ id: 'info' }, { id: 'next' }, { id: 'alarm', priority: 'alarm' }]);
    await player.hold();
    const info = rig.say({ id: 'info' });
    await started('info');
    const next = rig.say({ id: 'next' });
    rig.voice.mute(3_600_000);
    await player.release();
    expect(await Promise.all([info, next])).toEqual(['muted', 'muted']);
    expect(rig.voice.announce({ id: 'info' })).toEqual({ status: 'refused', reason: 'The voice is muted.' });
    expect(Date.parse(rig.voice.view().mutedUntil ?? '')).toBeGreaterThan(clock.wallMs());
    expect(await rig.say({ id: 'alarm' })).toBe('played');
    rig.voice.unmute();
    expect(await rig.say({ id: 'info' })).toBe('played');
  });
});

describe('the volume', () => {
  async function heardPeaks(): Promise<number[]> {
    const names = (await readdir(folder)).filter((name) => name.startsWith('heard-')).sort();
    return await Promise.all(
      names.map(async (name) => {
        const bytes = await readFile(join(folder, name));
        const wave = readWave(bytes);
        return typeof wave === 'string' ? Number.NaN : peakOf(bytes, wave);
      }),
    );
  }

  it('is that of the hour, and of alarms never less than theirs', async () => {
    let isNight = false;
    await using rig = await rigOf(
      [{ id: 'info' }, { id: 'alarm', priority: 'alarm' }],
      { volume: 100, alarmVolume: 75, volumes: [{ from: '22:00', to: '06:00', volume: 25 }] },
      { isWithin: () => () => isNight },
    );
    await rig.say({ id: 'info' });
    isNight = true;
    await rig.say({ id: 'info' });
    await rig.say({ id: 'alarm' });
    const peaks = await heardPeaks();
    expect(peaks).toHaveLength(3);
    for (const [index, peak] of [0.8, 0.2, 0.6].entries()) expect(peaks[index]).toBeCloseTo(peak, 2);
  });

  it('of nothing says nothing but alarms', async () => {
    await using rig = await rigOf([{ id: 'info' }, { id: 'alarm', priority: 'alarm' }], { volume: 0, alarmVolume: 50 });
    expect(await rig.say({ id: 'info' })).toBe('muted');
    expect(await rig.say({ id: 'alarm' })).toBe('played');
  });
});

describe('a player', () => {
  const alive = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  it('that hangs is killed, with what it started; a health entry says so until one plays', async () => {
    const pids = join(folder, 'pids');
    const stubborn = ['sh', '-c', `trap '' TERM; sleep 600 & echo $$ $! > '${pids}'; wait; wait`];
    await using rig = await rigOf([{ id: 'a' }], { player: stubborn }, { slackMs: 300 });
    expect(await rig.say({ id: 'a' })).toBe('silent');
    expect(rig.health.entries()).toMatchObject([{ code: 'voice-silent', detail: 'sh hung and was ended' }]);
    const [shell, sleep] = (await readFile(pids, 'utf8')).trim().split(' ').map(Number) as [number, number];
    await eventually(() => !alive(shell) && !alive(sleep), 'the end of both processes');
  });

  it('that is missing, or fails, is a health entry and nothing else', async () => {
    await using missing = await rigOf([{ id: 'a' }], { player: ['no-such-player'] });
    expect(await missing.say({ id: 'a' })).toBe('silent');
    expect(missing.health.entries()[0]?.detail).toContain('no-such-player');
    const command = ['sh', '-c', `echo 'audio open error' >&2; test -e '${folder}/works'`];
    await using failing = await rigOf([{ id: 'a' }], { player: command });
    expect(await failing.say({ id: 'a' })).toBe('silent');
    expect(failing.health.entries()[0]?.detail).toBe('sh ended with 1: audio open error');
    await writeFile(join(folder, 'works'), '');
    expect(await failing.say({ id: 'a' })).toBe('played');
    expect(failing.health.entries()).toEqual([]);
  });

  it('without a sound device is known before it is needed', async () => {
    await using rig = await rigOf(
      [{ id: 'a' }],
      { player: [] },
      { hasSound: async () => await Promise.resolve(false) },
    );
    await eventually(() => rig.health.entries().some(({ code }) => code === 'voice-silent'), 'the health entry');
    expect(rig.voice.view().silent).toBe('no sound device');
  });

  it('is not asked for a recording that is not there', async () => {
    await using rig = await rigOf([{ id: 'gone', file: { en: join(folder, 'gone.wav') } }]);
    await eventually(() => rig.health.entries()[0]?.detail === `${folder}/gone.wav is not there`, 'the health entry');
    expect(await rig.say({ id: 'gone' })).toBe('silent');
    expect(await starts()).toEqual([]);
  });

  it('ends with the agent', async () => {
    const rig = await rigOf([{ id: 'a' }]);
    await player.hold();
    const ended = rig.say({ id: 'a' });
    await started('a');
    await rig[Symbol.asyncDispose]();
    expect(await ended).toBe('stopped');
    expect(await player.log()).toEqual(['start a', 'killed a']);
  });
});

describe('a siren', () => {
  it('is on while something is said, and off after it', async () => {
    await using rig = await rigOf([{ id: 'a', with: [siren] }]);
    await player.hold();
    const ended = rig.say({ id: 'a' });
    await started('a');
    expect(rig.acts).toEqual([sirenOn]);
    expect(rig.voice.view().owed).toBe(1);
    await player.release();
    expect(await ended).toBe('played');
    expect(rig.acts).toEqual([sirenOn, sirenOff]);
    expect(rig.voice.view().owed).toBe(0);
  });

  it('is off when it takes too long', async () => {
    await using rig = await rigOf([{ id: 'a', with: [siren], most: '50ms' }]);
    await player.hold();
    expect(await rig.say({ id: 'a' })).toBe('too-long');
    expect(rig.acts).toEqual([sirenOn, sirenOff]);
    await player.release();
  });

  it('is off when it is muted', async () => {
    await using rig = await rigOf([{ id: 'a', with: [siren] }]);
    await player.hold();
    const ended = rig.say({ id: 'a' });
    await started('a');
    rig.voice.mute();
    expect(await ended).toBe('muted');
    expect(rig.acts).toEqual([sirenOn, sirenOff]);
    await player.release();
  });

  it('is off when the agent ends', async () => {
    const rig = await rigOf([{ id: 'a', with: [siren] }]);
    await player.hold();
    const ended = rig.say({ id: 'a' });
    await started('a');
    await rig[Symbol.asyncDispose]();
    expect(await ended).toBe('stopped');
    expect(rig.acts).toEqual([sirenOn, sirenOff]);
  });

  it('goes with an alarm that nobody can hear, for its least time', async () => {
    await using rig = await rigOf([{ id: 'a', with: [siren], least: '30ms', priority: 'alarm' }], {
      player: ['no-such-player'],
    });
    expect(await rig.say({ id: 'a' })).toBe('silent');
    expect(rig.acts).toEqual([sirenOn, sirenOff]);
  });

  it('that does not obey is told again until it says yes, and is a health entry meanwhile', async () => {
    let refusals = 2;
    const heard: string[] = [];
    await using rig = await rigOf(
      [{ id: 'a', with: [siren] }],
      {},
      {
        act: async (_peripheral, _action, { on }) => {
          heard.push(String(on));
          const isRefused = on === false && (refusals -= 1) >= 0;
          return await Promise.resolve(
            isRefused ? { status: 'rejected', reason: 'siren is lost.' } : { status: 'acknowledged' },
          );
        },
      },
    );
    expect(await rig.say({ id: 'a' })).toBe('played');
    expect(rig.health.entries()).toMatchObject([{ code: 'voice-effect', detail: 'set: siren is lost.' }]);
    await eventually(() => rig.voice.view().owed === 0, 'the yes');
    expect(heard).toEqual(['true', 'false', 'false', 'false']);
    expect(rig.health.entries()).toEqual([]);
  });

  it('of an alarm stays on when that of what it broke off is switched off late', async () => {
    const heard: string[] = [];
    let offs = 0;
    let releaseFirst: () => void = () => undefined;
    const first = new Promise<void>((resolve) => (releaseFirst = resolve));
    await using rig = await rigOf(
      [
        { id: 'info', with: [siren] },
        { id: 'alarm', with: [siren], priority: 'alarm' },
      ],
      {},
      {
        act: async (_peripheral, _action, { on }) => {
          heard.push(String(on));
          if (on === false && (offs += 1) === 1) await first;
          return { status: 'acknowledged' };
        },
      },
    );
    await player.hold();
    const info = rig.say({ id: 'info' });
    await started('info');
    const alarm = rig.say({ id: 'alarm' });
    await started('alarm');
    releaseFirst();
    await clock.sleep(20);
    expect(rig.voice.view().owed).toBe(1);
    await player.release();
    expect(await Promise.all([alarm, info])).toEqual(['played', 'played']);
    expect(heard).toEqual(['true', 'false', 'true', 'false', 'true', 'false']);
    expect(rig.voice.view().owed).toBe(0);
  });

  it('that a killed agent left on is switched off by the next one', async () => {
    const act = async (): Promise<{ status: string }> => await Promise.resolve({ status: 'unknown' });
    const killed = await rigOf([{ id: 'a', with: [siren] }], {}, { act });
    await player.hold();
    const ended = killed.say({ id: 'a' });
    await started('a');
    const owed = await readFile(join(folder, 'voice', 'owed.json'), 'utf8');
    expect(JSON.parse(owed)).toEqual([{ peripheral: 'siren', action: 'set', args: { on: false } }]);
    await player.release();
    await killed[Symbol.asyncDispose]();
    await ended;
    await writeFile(join(folder, 'voice', 'owed.json'), owed);
    await using next = await rigOf([{ id: 'a', with: [siren] }]);
    await eventually(() => next.acts.length > 0, 'the switching off');
    expect(next.acts).toEqual([sirenOff]);
    const path = join(folder, 'voice', 'owed.json');
    await eventually(async () => (await readFile(path, 'utf8')) === '[]', 'nothing owed');
  });
});

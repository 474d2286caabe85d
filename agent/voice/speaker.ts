/**
 * Says one announcement: recordings one after the other at the volume of the hour, sirens and strobes around them.
 *
 *   on --> zh, en, zh, en … --> (least time) --> off          broken off, or too long: straight to off
 */
import { join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Priority } from '#config/voice.ts';
import type { VoiceConfig } from '#config/schema.ts';
import { type Item, sayingsOf } from './announcement.ts';
import { type Act, Effects } from './effects.ts';
import { hasSoundDevice, Player } from './player.ts';
import { Recordings, type Saying } from './recordings.ts';

export interface SpeakerOptions {
  readonly config: VoiceConfig;
  /** Where spoken texts, and what is owed to sirens, are kept. */
  readonly folder: string;
  readonly clock: Clock;
  readonly health: Health;
  readonly log: Log;
  readonly act: Act;
  /** Whether a moment is inside of a window, in the device's time zone. */
  readonly isWithin: (window: VoiceConfig['volumes'][number]) => (wallMs: number) => boolean;
  /** Default: what the kernel says. */
  readonly hasSound?: () => Promise<boolean>;
  readonly slackMs?: number;
}

/** For sirens and strobes when an alarm waits, or the agent ends. */
const lastMomentMs = 2_000;
const endWithinMs = 10_000;
const subject = 'voice';
const noDevice = 'no sound device';

export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #recordings: Recordings;
  readonly #player: Player;
  readonly #effects: Effects;
  readonly #volumes: readonly { readonly holds: (wallMs: number) => boolean; readonly volume: number }[];
  #silent: string | undefined;

  constructor(options: SpeakerOptions) {
    const { config, folder, clock, health, log, act, slackMs } = options;
    this.#options = options;
    this.#recordings = new Recordings(config, folder, clock);
    this.#player = new Player({ config, clock, ...(slackMs === undefined ? {} : { slackMs }) });
    this.#effects = new Effects({ path: join(folder, 'owed.json'), act, clock, health, log });
    this.#volumes = config.volumes.map((window) => ({ holds: options.isWithin(window), volume: window.volume }));
  }

  /** Why nothing can be heard. */
  get silent(): string | undefined {
    return this.#silent;
  }

  /** Sirens and strobes that are still to be switched off. */
  get owed(): number {
    return this.#effects.owed;
  }

  volumeOf(priority: Priority): number {
    const { config, clock } = this.#options;
    const now = clock.wallMs();
    const volume = this.#volumes.find(({ holds }) => holds(now))?.volume ?? config.volume;
    return priority === 'alarm' ? Math.max(volume, config.alarmVolume) : volume;
  }

  /** What an agent that ended too early owes. */
  async begin(): Promise<void> {
    const fault = await this.#recordings.begin();
    if (fault !== undefined) this.#fall(fault);
    await this.#effects.load();
  }

  /** A service: what is owed, until aborted. */
  async settle(signal: AbortSignal): Promise<void> {
    await this.#effects.run(signal);
  }

  /** Texts are spoken beforehand: an alarm is not to wait for it, and what is missing is known before it is needed. */
  async rehearse(signal: AbortSignal): Promise<void> {
    const { config } = this.#options;
    await this.lookForSound();
    for (const announcement of config.announcements) {
      for (const saying of sayingsOf(announcement, config.languages)) {
        const prepared = await this.#recordings.prepare(saying, this.volumeOf(announcement.priority), signal);
        if (typeof prepared === 'string' && !signal.aborted) this.#fall(prepared);
      }
    }
    if (!signal.aborted) await this.#recordings.forgetOthers();
  }

  /** Only where nobody has said what plays, and on what: only then it can be told. */
  async lookForSound(): Promise<void> {
    const { config, hasSound = hasSoundDevice } = this.#options;
    if (config.player.length > 0 || config.device !== undefined) return;
    if (!(await hasSound())) this.#fall(noDevice);
    else if (this.#silent === noDevice) this.#rise();
  }

  /** @param signal breaks it off @returns whether all of it was heard, as far as the player knows */
  async say(item: Item, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    const startedAtMs = clock.monoMs();
    await this.#effects.begin(item.with);
    const fault = await this.#sayAll(item, signal);
    await pause(clock, startedAtMs + item.least - clock.monoMs(), signal);
    if (item.sayings.some((saying) => saying.is === 'text' && !saying.isKept)) await this.#recordings.forgetOnce();
    await this.#effects.end(item.with, signal.aborted ? lastMomentMs : endWithinMs);
    if (!signal.aborted && item.sayings.length > 0) {
      if (fault === undefined) this.#rise();
      else this.#fall(fault);
    }
    return fault === undefined;
  }

  /** @returns why some of it was not heard */
  async #sayAll(item: Item, signal: AbortSignal): Promise<string | undefined> {
    let fault: string | undefined;
    for (let times = 0; times < item.repeat; times += 1) {
      for (const saying of item.sayings) {
        if (signal.aborted) return fault;
        fault = (await this.#sayOne(saying, item, signal)) ?? fault;
      }
    }
    return fault;
  }

  async #sayOne(saying: Saying, item: Item, signal: AbortSignal): Promise<string | undefined> {
    const { clock } = this.#options;
    const prepared = await this.#recordings.prepare(saying, this.volumeOf(item.priority), signal);
    if (typeof prepared === 'string') return signal.aborted ? undefined : prepared;
    const startedAtMs = clock.monoMs();
    const fault = await this.#player.play(prepared, signal);
    // a strobe lasts as long as what would have been said
    if (fault !== undefined && item.with.length > 0)
      await pause(clock, startedAtMs + prepared.lengthMs - clock.monoMs(), signal);
    return fault;
  }

  #fall(reason: string): void {
    this.#silent = reason;
    this.#options.health.set('voice-silent', subject, reason.slice(0, 200));
  }

  #rise(): void {
    this.#silent = undefined;
    this.#options.health.clear('voice-silent', subject);
  }
}

const pause = async (clock: Clock, ms: number, signal: AbortSignal): Promise<void> => {
  if (ms > 0 && !signal.aborted) await clock.sleep(ms, signal).catch(() => undefined);
};

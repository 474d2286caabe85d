/**
 * The device's voice: one queue, one player, never two at once.
 *
 *   events, announce --> queue (alarm > warning > information) --> recording, at the volume of the hour --> player
 *                        expiry, mute (not for alarms)             siren and strobe on .................... off
 */
import { join } from 'node:path';
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Service } from '#agent/core/supervisor.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Priority, SpokenLanguage } from '#config/voice.ts';
import type { AnnouncementConfig, VoiceConfig } from '#config/schema.ts';
import { type Act, Effects } from './effects.ts';
import { hasSoundDevice, Player } from './player.ts';
import { AnnouncementQueue, type Queued } from './queue.ts';
import { type Recording, Recordings, type Saying } from './recordings.ts';
import { isSetOff } from './triggers.ts';

/** How an announcement ended. `silent`: nobody heard it, what goes with it was switched on and off all the same. */
export type Ending = 'played' | 'silent' | 'interrupted' | 'muted' | 'expired' | 'too-long' | 'stopped';

/** One of the configuration, or a text of somebody who speaks through the device. */
export type Announcement =
  | { readonly id: string }
  | { readonly text: Readonly<Partial<Record<SpokenLanguage, string>>>; readonly priority: Priority };

export type Announced =
  | { readonly status: 'queued'; readonly ended: Promise<Ending> }
  | { readonly status: 'refused'; readonly reason: string };

export interface VoiceOptions {
  readonly config: VoiceConfig;
  /** Where spoken texts are kept. */
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

export interface VoiceView {
  readonly playing: string | undefined;
  readonly waiting: number;
  /** ISO 8601; `for ever`; undefined: not muted. */
  readonly mutedUntil: string | undefined;
  readonly ended: Readonly<Record<Ending, number>>;
  /** Why nothing can be heard. */
  readonly silent: string | undefined;
  /** Sirens and strobes that are still to be switched off. */
  readonly owed: number;
}

interface Item extends Queued {
  readonly sayings: readonly Saying[];
  readonly repeat: number;
  readonly least: number;
  readonly most: number;
  readonly with: AnnouncementConfig['with'];
  readonly settle: (ending: Ending) => void;
}

interface Current {
  readonly item: Item;
  breakOff(ending: Ending): void;
}

const capacity = 64;
const mostCharacters = 500;
const freeTextExpiryMs = 60_000;
const lookAgainMs = 60_000;
/** For sirens and strobes when an alarm waits, or the agent ends. */
const lastMomentMs = 2_000;
const endWithinMs = 10_000;
const subject = 'voice';

export class Voice {
  readonly #options: VoiceOptions;
  readonly #queue = new AnnouncementQueue<Item>(capacity);
  readonly #recordings: Recordings;
  readonly #player: Player;
  readonly #effects: Effects;
  readonly #volumes: readonly { readonly holds: (wallMs: number) => boolean; readonly volume: number }[];
  readonly #saidAtMs = new Map<string, number>();
  readonly #ended: Record<Ending, number> = {
    played: 0,
    silent: 0,
    interrupted: 0,
    muted: 0,
    expired: 0,
    'too-long': 0,
    stopped: 0,
  };
  #current: Current | undefined;
  #wake: () => void = () => undefined;
  #mutedUntilMs = 0;
  #silent: string | undefined;
  #free = 0;

  constructor(options: VoiceOptions) {
    const { config, folder, clock, health, log, act, slackMs } = options;
    this.#options = options;
    this.#recordings = new Recordings(config, folder, clock);
    this.#player = new Player({ config, clock, ...(slackMs === undefined ? {} : { slackMs }) });
    this.#effects = new Effects({ path: join(folder, 'owed.json'), act, clock, health, log });
    this.#volumes = config.volumes.map((window) => ({ holds: options.isWithin(window), volume: window.volume }));
  }

  /** None where nothing can be said. */
  services(): readonly Service[] {
    if (this.#options.config.announcements.length === 0) return [];
    return [{ name: 'voice', run: async (signal) => await this.#run(signal) }];
  }

  view(): VoiceView {
    const { clock } = this.#options;
    const left = this.#mutedUntilMs - clock.monoMs();
    return {
      playing: this.#current?.item.id,
      waiting: this.#queue.size,
      mutedUntil:
        left <= 0 ? undefined : left === Infinity ? 'for ever' : new Date(clock.wallMs() + left).toISOString(),
      ended: { ...this.#ended },
      silent: this.#silent,
      owed: this.#effects.owed,
    };
  }

  /** Every event that the agent makes. */
  onEvents(events: readonly Event[]): void {
    const { config, clock } = this.#options;
    for (const event of events) {
      for (const announcement of config.announcements) {
        const { id, cooldown } = announcement;
        if (!isSetOff(announcement, event)) continue;
        const saidAt = this.#saidAtMs.get(id);
        if (saidAt === undefined || clock.monoMs() - saidAt >= cooldown) this.announce({ id });
      }
    }
  }

  /** Says it, when its turn comes. */
  announce(announcement: Announcement): Announced {
    const { config } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    const item =
      'id' in announcement
        ? this.#configured(announcement.id, resolve)
        : this.#spoken(announcement.text, announcement.priority, resolve);
    if (config.announcements.length === 0) return refused('No announcements are configured: the voice is off.');
    if (typeof item === 'string') return refused(item);
    if (item.priority !== 'alarm' && this.#isMuted()) return refused('The voice is muted.');
    if (this.#queue.has(item.id)) return refused(`${item.id} waits already.`);
    if (!this.#queue.offer(item)) return refused('Too much waits to be said.');
    this.#saidAtMs.set(item.id, this.#options.clock.monoMs());
    const current = this.#current;
    if (item.priority === 'alarm' && current && current.item.priority !== 'alarm') current.breakOff('interrupted');
    this.#wake();
    return { status: 'queued', ended: promise };
  }

  /** Nothing but alarms is said for this long; what waits is given up. @param forMs absent: until `unmute` */
  mute(forMs = Infinity): void {
    this.#mutedUntilMs = this.#options.clock.monoMs() + forMs;
    const isHushed = ({ priority }: Item): boolean => priority !== 'alarm';
    for (const item of this.#queue.drop(isHushed)) this.#end(item, 'muted');
    if (this.#current && isHushed(this.#current.item)) this.#current.breakOff('muted');
  }

  /** What a technician says at the device. @param argument id of an announcement, or how long the mute is, ms */
  order(order: 'announce' | 'mute' | 'unmute', argument: string | undefined): { status: string; reason?: string } {
    if (order === 'announce') {
      const announced = this.announce({ id: argument ?? '' });
      return announced.status === 'refused' ? announced : { status: announced.status };
    }
    if (order === 'unmute') this.unmute();
    else this.mute(argument === undefined ? undefined : Math.max(0, Number(argument) || 0));
    return { status: this.view().mutedUntil === undefined ? 'unmuted' : 'muted' };
  }

  unmute(): void {
    this.#mutedUntilMs = 0;
  }

  #isMuted(): boolean {
    return this.#mutedUntilMs > this.#options.clock.monoMs();
  }

  #configured(id: string, settle: Item['settle']): Item | string {
    const { config, clock } = this.#options;
    const found = config.announcements.find((each) => each.id === id);
    if (!found) return `No announcement is named ${id}.`;
    const { priority, repeat, least, most, expiry } = found;
    const expiresAtMs = clock.monoMs() + expiry;
    return {
      id,
      priority,
      repeat,
      least,
      most,
      with: found.with,
      expiresAtMs,
      settle,
      sayings: sayingsOf(found, config.languages),
    };
  }

  #spoken(
    text: Readonly<Partial<Record<SpokenLanguage, string>>>,
    priority: Priority,
    settle: Item['settle'],
  ): Item | string {
    const { config, clock } = this.#options;
    const sayings = config.languages.flatMap((language): Saying[] => {
      const words = text[language]?.trim() ?? '';
      return words === '' ? [] : [{ is: 'text', text: words, language, isKept: false }];
    });
    if (sayings.length === 0) return 'There is nothing to say.';
    if (sayings.some((each) => each.is === 'text' && each.text.length > mostCharacters))
      return `A text has at most ${mostCharacters} characters.`;
    const expiresAtMs = clock.monoMs() + freeTextExpiryMs;
    this.#free += 1;
    return {
      id: `text ${this.#free}`,
      priority,
      repeat: 1,
      least: 0,
      most: 120_000,
      with: [],
      expiresAtMs,
      settle,
      sayings,
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const folder = await this.#recordings.begin();
    if (folder !== undefined) this.#fall(folder);
    await this.#effects.load();
    const stop = new AbortController();
    using _listening = onAbort(signal, () => stop.abort());
    const effects = this.#effects.run(stop.signal);
    try {
      await this.#rehearse(signal);
      while (!signal.aborted) await this.#turn(signal);
    } finally {
      stop.abort();
      await effects;
      for (const item of this.#queue.drop(() => true)) this.#end(item, 'stopped');
    }
  }

  /** Texts are spoken beforehand: an alarm is not to wait for it, and what is missing is known before it is needed. */
  async #rehearse(signal: AbortSignal): Promise<void> {
    const { config } = this.#options;
    await this.#lookForSound();
    for (const announcement of config.announcements) {
      for (const saying of sayingsOf(announcement, config.languages)) {
        const prepared = await this.#recordings.prepare(saying, this.#volumeOf(announcement.priority), signal);
        if (typeof prepared === 'string' && !signal.aborted) this.#fall(prepared);
      }
    }
    if (!signal.aborted) await this.#recordings.forgetOthers();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { next, expired } = this.#queue.take(this.#options.clock.monoMs());
    for (const item of expired) this.#end(item, 'expired');
    if (next) await this.#perform(next, signal);
    else await this.#pause(signal);
  }

  /** Until something is to be said; meanwhile a sound device may have been plugged in. */
  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    using _listening = onAbort(signal, () => woken.abort());
    this.#wake = () => woken.abort();
    // what came while nobody listened
    if (this.#queue.size > 0) return;
    const isOver = await this.#options.clock.sleep(lookAgainMs, woken.signal).then(
      () => true,
      () => false,
    );
    if (isOver) await this.#lookForSound();
  }

  async #perform(item: Item, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    if (item.priority !== 'alarm' && this.#volumeOf(item.priority) === 0) {
      this.#end(item, 'muted');
      return;
    }
    const stop = new AbortController();
    let broken: Ending | undefined;
    const breakOff = (ending: Ending): void => {
      broken ??= ending;
      stop.abort();
    };
    using _listening = onAbort(signal, () => breakOff('stopped'));
    void clock.sleep(item.most, stop.signal).then(
      () => breakOff('too-long'),
      () => undefined,
    );
    this.#current = { item, breakOff };
    const startedAtMs = clock.monoMs();
    await this.#effects.begin(item.with);
    const fault = await this.#say(item, stop.signal);
    await pause(clock, startedAtMs + item.least - clock.monoMs(), stop.signal);
    stop.abort();
    await this.#effects.end(item.with, broken === undefined ? endWithinMs : lastMomentMs);
    this.#current = undefined;
    const ending = broken ?? (fault === undefined ? 'played' : 'silent');
    log.info('An announcement ended.', { announcement: item.id, ending });
    if (ending !== 'interrupted' || !this.#queue.offer(item)) this.#end(item, ending);
    else this.#ended.interrupted += 1;
  }

  /** @returns why some of it was not heard */
  async #say(item: Item, signal: AbortSignal): Promise<string | undefined> {
    let fault: string | undefined;
    for (let times = 0; times < item.repeat; times += 1) {
      for (const saying of item.sayings) {
        if (signal.aborted) return fault;
        fault = (await this.#sayOne(saying, item, signal)) ?? fault;
      }
    }
    if (signal.aborted || item.sayings.length === 0) return fault;
    if (fault === undefined) this.#rise();
    else this.#fall(fault);
    return fault;
  }

  async #sayOne(saying: Saying, item: Item, signal: AbortSignal): Promise<string | undefined> {
    const { clock } = this.#options;
    const prepared: Recording | string = await this.#recordings.prepare(saying, this.#volumeOf(item.priority), signal);
    if (typeof prepared === 'string') return signal.aborted ? undefined : prepared;
    const startedAtMs = clock.monoMs();
    const fault = await this.#player.play(prepared, signal);
    // a strobe lasts as long as what would have been said
    if (fault !== undefined && item.with.length > 0)
      await pause(clock, startedAtMs + prepared.lengthMs - clock.monoMs(), signal);
    return fault;
  }

  #volumeOf(priority: Priority): number {
    const { config, clock } = this.#options;
    const now = clock.wallMs();
    const volume = this.#volumes.find(({ holds }) => holds(now))?.volume ?? config.volume;
    return priority === 'alarm' ? Math.max(volume, config.alarmVolume) : volume;
  }

  /** Only where nobody has said what plays, and on what: only then it can be told. */
  async #lookForSound(): Promise<void> {
    const { config, hasSound = hasSoundDevice } = this.#options;
    if (config.player.length > 0 || config.device !== undefined) return;
    if (!(await hasSound())) this.#fall(noDevice);
    else if (this.#silent === noDevice) this.#rise();
  }

  #fall(reason: string): void {
    this.#silent = reason;
    this.#options.health.set('voice-silent', subject, reason.slice(0, 200));
  }

  #rise(): void {
    this.#silent = undefined;
    this.#options.health.clear('voice-silent', subject);
  }

  #end(item: Item, ending: Ending): void {
    this.#ended[ending] += 1;
    item.settle(ending);
  }
}

const noDevice = 'no sound device';

const refused = (reason: string): Announced => ({ status: 'refused', reason });

const pause = async (clock: Clock, ms: number, signal: AbortSignal): Promise<void> => {
  if (ms > 0 && !signal.aborted) await clock.sleep(ms, signal).catch(() => undefined);
};

/** In each language a recording, or else a text. */
const sayingsOf = ({ text, file }: AnnouncementConfig, languages: readonly SpokenLanguage[]): readonly Saying[] =>
  languages.flatMap((language): Saying[] => {
    const [path, words] = [file[language], text[language]];
    if (path !== undefined) return [{ is: 'file', path }];
    return words === undefined ? [] : [{ is: 'text', text: words, language, isKept: true }];
  });

/**
 * The device's voice: one queue, one speaker, never two at once.
 *
 *   events, announce --> queue (alarm > warning > information) --> speaker --> player; siren and strobe
 *                        expiry, cooldown, mute (not for alarms)
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Service } from '#agent/core/supervisor.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Announcement, type Ending, endings, type Item, itemOf } from './announcement.ts';
import { AnnouncementQueue } from './queue.ts';
import { Speaker, type SpeakerOptions } from './speaker.ts';
import { isSetOff } from './triggers.ts';

export type Announced =
  | { readonly status: 'queued'; readonly ended: Promise<Ending> }
  | { readonly status: 'refused'; readonly reason: string };

export type VoiceOptions = SpeakerOptions;

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

interface Current {
  readonly item: Item;
  breakOff(ending: Ending): void;
}

const capacity = 64;
const lookAgainMs = 60_000;

export class Voice {
  readonly #options: VoiceOptions;
  readonly #queue = new AnnouncementQueue<Item>(capacity);
  readonly #speaker: Speaker;
  readonly #saidAtMs = new Map<string, number>();
  readonly #ended = Object.fromEntries(endings.map((ending) => [ending, 0])) as Record<Ending, number>;
  #current: Current | undefined;
  #wake: () => void = () => undefined;
  #mutedUntilMs = 0;

  constructor(options: VoiceOptions) {
    this.#options = options;
    this.#speaker = new Speaker(options);
  }

  /** None where nothing can be said. */
  services(): readonly Service[] {
    if (this.#options.config.announcements.length === 0) return [];
    return [{ name: 'voice', run: async (signal) => await this.#run(signal) }];
  }

  view(): VoiceView {
    const { clock } = this.#options;
    const left = this.#mutedUntilMs - clock.monoMs();
    const until = left === Infinity ? 'for ever' : new Date(clock.wallMs() + left).toISOString();
    return {
      playing: this.#current?.item.id,
      waiting: this.#queue.size,
      mutedUntil: left <= 0 ? undefined : until,
      ended: { ...this.#ended },
      silent: this.#speaker.silent,
      owed: this.#speaker.owed,
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
    const { config, clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    const item = itemOf(announcement, config, clock.monoMs(), resolve);
    if (typeof item === 'string') return refused(item);
    if (item.priority !== 'alarm' && this.#isMuted()) return refused('The voice is muted.');
    if (this.#queue.has(item.id)) return refused(`${item.id} waits already.`);
    const { isTaken, displaced } = this.#queue.offer(item);
    if (!isTaken) return refused('Too much waits to be said.');
    if (displaced) this.#end(displaced, 'expired');
    this.#saidAtMs.set(item.id, clock.monoMs());
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

  unmute(): void {
    this.#mutedUntilMs = 0;
  }

  /** What a technician says at the device. @param argument id of an announcement, or how long the mute is, ms */
  order(
    order: 'announce' | 'mute' | 'unmute',
    argument: string | undefined,
  ): { readonly status: string; readonly reason?: string } {
    if (order === 'announce') {
      const announced = this.announce({ id: argument ?? '' });
      return announced.status === 'refused' ? announced : { status: announced.status };
    }
    if (order === 'unmute') this.unmute();
    else this.mute(argument === undefined ? undefined : Math.max(0, Number(argument) || 0));
    return { status: this.#isMuted() ? 'muted' : 'unmuted' };
  }

  #isMuted(): boolean {
    return this.#mutedUntilMs > this.#options.clock.monoMs();
  }

  async #run(signal: AbortSignal): Promise<void> {
    await this.#speaker.begin();
    const stop = new AbortController();
    using _listening = onAbort(signal, () => stop.abort());
    const settling = this.#speaker.settle(stop.signal);
    try {
      await this.#speaker.rehearse(signal);
      while (!signal.aborted) await this.#turn(signal);
    } finally {
      stop.abort();
      await settling;
      for (const item of this.#queue.drop(() => true)) this.#end(item, 'stopped');
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { next, expired } = this.#queue.take(this.#options.clock.monoMs());
    for (const item of expired) this.#end(item, 'expired');
    if (!next) await this.#pause(signal);
    else if (next.priority !== 'alarm' && this.#speaker.volumeOf(next.priority) === 0) this.#end(next, 'muted');
    else await this.#perform(next, signal);
  }

  /** Until something is to be said; meanwhile a sound device may have been plugged in. */
  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    using _listening = onAbort(signal, () => woken.abort());
    this.#wake = () => woken.abort();
    const isOver = await this.#options.clock.sleep(lookAgainMs, woken.signal).then(
      () => true,
      () => false,
    );
    if (isOver) await this.#speaker.lookForSound();
  }

  async #perform(item: Item, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const stop = new AbortController();
    let broken: Ending | undefined;
    const breakOff = (ending: Ending): void => {
      broken ??= ending;
      stop.abort();
    };
    using _listening = onAbort(signal, () => breakOff('stopped'));
    const done = new AbortController();
    void clock.sleep(item.most, done.signal).then(
      () => breakOff('too-long'),
      () => undefined,
    );
    this.#current = { item, breakOff };
    const isHeard = await this.#speaker.say(item, stop.signal);
    done.abort();
    this.#current = undefined;
    const ending = broken ?? (isHeard ? 'played' : 'silent');
    log.info('An announcement ended.', { announcement: item.id, ending });
    if (ending === 'interrupted' && this.#queue.offer(item).isTaken) this.#ended.interrupted += 1;
    else this.#end(item, ending);
  }

  #end(item: Item, ending: Ending): void {
    this.#ended[ending] += 1;
    item.settle(ending);
  }
}

const refused = (reason: string): Announced => ({ status: 'refused', reason });

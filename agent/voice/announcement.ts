/** One thing to be said: of the configuration, or a text of somebody who speaks through the device. */
import { randomId } from '#agent/core/ids.ts';
import type { Priority, SpokenLanguage } from '#config/voice.ts';
import type { AnnouncementConfig, VoiceConfig } from '#config/schema.ts';
import type { Effect } from './effects.ts';
import type { Queued } from './queue.ts';
import type { Saying } from './recordings.ts';

/** How an announcement ended. `silent`: nobody heard it, what goes with it was switched on and off all the same. */
export const endings = ['played', 'silent', 'interrupted', 'muted', 'expired', 'too-long', 'stopped'] as const;
export type Ending = (typeof endings)[number];

/** Texts of at most 500 characters, in the languages that are to be said. */
export interface FreeText {
  readonly text: Readonly<Partial<Record<SpokenLanguage, string>>>;
  readonly priority: Priority;
}

export type Announcement = { readonly id: string } | FreeText;

/** As it waits. Spans in ms. */
export interface Item extends Queued {
  readonly sayings: readonly Saying[];
  readonly repeat: number;
  readonly least: number;
  readonly most: number;
  readonly with: readonly Effect[];
  readonly settle: (ending: Ending) => void;
}

const mostCharacters = 500;
const freeExpiryMs = 60_000;
const freeMostMs = 120_000;

/** In each language a recording, or else a text. */
export const sayingsOf = (
  { text, file }: AnnouncementConfig,
  languages: readonly SpokenLanguage[],
): readonly Saying[] =>
  languages.flatMap((language): Saying[] => {
    const [path, words] = [file[language], text[language]];
    if (path !== undefined) return [{ is: 'file', path }];
    return words === undefined ? [] : [{ is: 'text', text: words, language, isKept: true }];
  });

/** @returns the item, or why it cannot be said */
export function itemOf(
  announcement: Announcement,
  { announcements, languages }: VoiceConfig,
  nowMs: number,
  settle: Item['settle'],
): Item | string {
  if (announcements.length === 0) return 'No announcements are configured: the voice is off.';
  if (!('id' in announcement)) return freeItem(announcement, languages, nowMs, settle);
  const found = announcements.find(({ id }) => id === announcement.id);
  if (!found) return `No announcement is named ${announcement.id}.`;
  const { id, priority, repeat, least, most, expiry } = found;
  const sayings = sayingsOf(found, languages);
  return { id, priority, repeat, least, most, with: found.with, expiresAtMs: nowMs + expiry, settle, sayings };
}

function freeItem(
  { text, priority }: FreeText,
  languages: readonly SpokenLanguage[],
  nowMs: number,
  settle: Item['settle'],
): Item | string {
  const words = languages.map((language) => ({ language, text: text[language]?.trim() ?? '' }));
  if (words.some((each) => each.text.length > mostCharacters))
    return `A text has at most ${mostCharacters} characters.`;
  const sayings = words
    .filter((each) => each.text !== '')
    .map(({ language, text: said }): Saying => ({ is: 'text', text: said, language, isKept: false }));
  if (sayings.length === 0) return 'There is nothing to say.';
  return {
    // not the words: ids are logged
    id: `text ${randomId().slice(0, 8)}`,
    priority,
    repeat: 1,
    least: 0,
    most: freeMostMs,
    with: [],
    expiresAtMs: nowMs + freeExpiryMs,
    settle,
    sayings,
  };
}

/**
 * Where the single binary unpacks itself, and what may be forgotten is kept: a folder that somebody named, else the user's
 * cache, else the temporary folder.
 *
 *   XDG_CACHE_HOME -> CACHE_DIRECTORY (systemd's) -> ~/.cache, of a home that is there -> the system's temporary folder
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

export interface CacheChoice {
  /** Absolute. */
  readonly folder: string;
  /** Somebody chose it: when it cannot be used that is an error, not a reason to look elsewhere. */
  readonly named: boolean;
}

/**
 * @param environment as in process.env
 * @param temporary the system's temporary folder
 * @param user number of the user, kept apart in the shared temporary folder
 * @param isThere whether a folder exists: no home is made for a user who has none
 * @returns the choices, best first
 */
export function cacheChoices(
  environment: Readonly<Record<string, string | undefined>>,
  temporary: string,
  user: number,
  isThere: (folder: string) => boolean,
): readonly CacheChoice[] {
  const named = environment['XDG_CACHE_HOME'];
  if (named && isAbsolute(named)) return [{ folder: join(named, 'outpost'), named: true }];
  // systemd separates several folders by colons; the first is as good as any.
  const given = environment['CACHE_DIRECTORY']?.split(':', 1)[0];
  if (given && isAbsolute(given)) return [{ folder: given, named: true }];
  const home = environment['HOME'];
  const own =
    home && isAbsolute(home) && isThere(home) ? [{ folder: join(home, '.cache', 'outpost'), named: false }] : [];
  return [...own, { folder: inTemporary(temporary, user), named: false }];
}

const inTemporary = (temporary: string, user: number): string => join(temporary, `outpost-${user}`);

export const thisUser = (): number => process.getuid?.() ?? 0;

/** Those of this process. */
export const choices = (): readonly CacheChoice[] => cacheChoices(process.env, tmpdir(), thisUser(), existsSync);

/**
 * The best of them where only this user writes: in the shared temporary folder anybody may have put something in the way.
 * @returns absolute, perhaps not there; undefined when there is none
 */
export function cacheFolder(): string | undefined {
  const shared = inTemporary(tmpdir(), thisUser());
  return choices().find(({ folder, named }) => named || folder !== shared)?.folder;
}

/** Where weights are kept and looked for: the only file of models that reads the environment. */
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** `$XDG_CACHE_HOME/outpost/models`, else `~/.cache/outpost/models` (XDG Base Directory Specification 0.8). */
export function defaultCacheDir(): string {
  const cacheHome = process.env['XDG_CACHE_HOME'];
  // The specification: a relative path is ignored.
  return cacheHome?.startsWith('/')
    ? join(cacheHome, 'outpost', 'models')
    : join(homedir(), '.cache', 'outpost', 'models');
}

/** Folders named by `OUTPOST_MODELS`, separated as in PATH. */
export const defaultSearchPath = (): readonly string[] =>
  (process.env['OUTPOST_MODELS'] ?? '').split(delimiter).filter((folder) => folder.length > 0);

/**
 * A damaged store has one name until another one holds what could be read of it, and a last one after:
 *
 *   outbox.db --> outbox.salvaging-TIME.db --(outbox.db holds what can be read of it)--> outbox.damaged-TIME.db
 *
 * Its log is renamed first, so wherever a process ends in between, the next one knows how far it was.
 */
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const [before, after] = ['outbox.salvaging-', 'outbox.damaged-'];
const logOf = (file: string): string => `${file}-wal`;

/** @param wallMs for the name only */
export function putAside(file: string, wallMs: number): void {
  const folder = dirname(file);
  const stamp = new Date(Math.max(0, wallMs)).toISOString().replace(/[-:]|\.\d+/g, '');
  const nameOf = (n: number): string => `${stamp}${n === 1 ? '' : `-${n}`}.db`;
  let n = 1;
  while ([before, after].some((name) => existsSync(join(folder, name + nameOf(n))))) n += 1;
  const aside = join(folder, before + nameOf(n));
  // a log may be all that is left
  closeSync(openSync(file, 'a'));
  if (existsSync(logOf(file))) renameSync(logOf(file), logOf(aside));
  renameSync(file, aside);
  rmSync(`${file}-shm`, { force: true });
}

/** `…Z`, then `…Z-2`, of the same second. */
const inOrder = new Intl.Collator('en', { numeric: true });
const withoutEnding = (name: string): string => name.slice(0, -'.db'.length);

/** @returns stores that are put aside, and not kept yet: the oldest first */
export function storesPutAside(file: string): string[] {
  const folder = dirname(file);
  const names = readdirSync(folder).filter((name) => name.startsWith(before) && name.endsWith('.db'));
  return names
    .toSorted((one, other) => inOrder.compare(withoutEnding(one), withoutEnding(other)))
    .map((name) => join(folder, name));
}

/** Of these stores and their logs. */
export const bytesOf = (stores: readonly string[]): number =>
  stores
    .flatMap((store) => [store, logOf(store)])
    .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);

/** @returns under which name */
export function keep(aside: string): string {
  const kept = join(dirname(aside), basename(aside).replace(before, after));
  if (existsSync(logOf(aside))) renameSync(logOf(aside), logOf(kept));
  renameSync(aside, kept);
  return kept;
}

/** A log without its store says that the store was still to follow. */
export function finishPuttingAside(file: string): void {
  const folder = dirname(file);
  const log = readdirSync(folder).find((name) => name.startsWith(before) && name.endsWith(logOf('.db')));
  const aside = log && join(folder, log.slice(0, -logOf('').length));
  if (!aside || existsSync(aside) || !existsSync(file)) return;
  renameSync(file, aside);
  rmSync(`${file}-shm`, { force: true });
}

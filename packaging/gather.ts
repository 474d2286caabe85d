/**
 * The folder of each package that goes into a binary, for the machine that it is made for: what this machine has
 * installed, else the same version out of the registry, held by the lock file's hash.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type FolderOf, compiledSqlite, nativeAddons } from './natives.ts';
import { lockedPackage, unpackPackage } from './registry.ts';
import { buildSqlite } from './sqlite.ts';
import type { Target } from './targets.ts';

/**
 * @param work where packages are unpacked that are not installed
 * @throws OutpostError `npm-failed`, `download-mismatch`, `package-failed`
 */
export async function gatherPackages(
  repository: string,
  target: Target,
  cache: string,
  work: string,
): Promise<FolderOf> {
  const natives = nativeAddons.flatMap((addon) => addon.files(target).map(({ package: name }) => name));
  const names = [target.nodePackage, 'better-sqlite3', 'node-addon-api', ...natives];
  const found = new Map<string, string>();
  for (const name of new Set(names.filter((each) => each !== compiledSqlite))) {
    const installed = join(repository, 'node_modules', name);
    const isHere = existsSync(join(installed, 'package.json'));
    found.set(name, isHere ? installed : await unpackPackage(await lockedPackage(repository, name), cache, work));
  }
  const of = (name: string): string => found.get(name) ?? '';
  const sources = { sqlite: of('better-sqlite3'), addonApi: of('node-addon-api'), node: of(target.nodePackage) };
  found.set(compiledSqlite, await buildSqlite(target, sources, cache));
  return (name) => found.get(name);
}

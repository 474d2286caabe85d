/**
 * Gathers what the binary carries beside the program, and describes it.
 *
 *   bundle, natives, the default model, profiles, schema, licences --> [(path, bytes)] --> Content + compressed assets
 */
import { createHash, hash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { OutpostError } from '#agent/core/errors.ts';
import { type Machine, toAbsolute } from './branches.ts';
import { contentFile } from './components.ts';
import { type Content, isCode } from './content.ts';
import { checkElf } from './elf.ts';
import { type FolderOf, filesOf, nativeAddons } from './natives.ts';
import type { Target } from './targets.ts';

export interface Asset {
  /** As in ContentFile. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What of the repository ships: found at run time by `assetPath`, under the same path. */
const shippedFiles = [
  { folder: 'models', file: /^[^/]+\/(manifest\.json|labels[^/]*|golden\/street\.json)$|^golden\/street\.jpg$/ },
  { folder: 'config', file: /^(profiles\/[^/]+\.ya?ml|outpost\.schema\.json)$/ },
  { folder: 'drivers', file: /^template\// },
  { folder: '.', file: /^(LICENSE|NOTICE)$/ },
] as const;

export async function repositoryAssets(repository: string): Promise<Asset[]> {
  const found = await Promise.all(
    shippedFiles.map(async ({ folder, file }) => {
      const base = join(repository, folder);
      const names = folder === '.' ? await readdir(base) : await listBelow(base);
      return Promise.all(
        names
          .filter((name) => file.test(name))
          .map(async (name) => ({ path: join(folder, name), bytes: await readFile(join(base, name)) })),
      );
    }),
  );
  return found.flat();
}

async function listBelow(base: string): Promise<string[]> {
  const entries = await readdir(base, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(base, join(entry.parentPath, entry.name)));
}

/** @throws OutpostError `package-elf` when the devices could not load one */
export async function nativeAssets(target: Target, folderOf: FolderOf): Promise<Asset[]> {
  const files = nativeAddons.flatMap((addon) => filesOf(addon, target, folderOf));
  const shipped = new Set(files.map(({ to }) => basename(to)));
  return Promise.all(
    files.map(async ({ from, to }) => {
      const bytes = await readFile(from);
      checkElf(to, bytes, target, shipped);
      return { path: to, bytes };
    }),
  );
}

/**
 * @param weights path of the default model's weights
 * @throws OutpostError `package-failed` when they are not those of its manifest
 */
export async function modelAsset(repository: string, name: string, weights: string): Promise<Asset> {
  const manifest = JSON.parse(await readFile(join(repository, 'models', name, 'manifest.json'), 'utf8')) as {
    weights: { file: string; sha256: string };
  };
  const bytes = await readFile(weights).catch((cause: unknown) => {
    throw new OutpostError('package-failed', `The weights of ${name} are not at ${weights}.`, { cause });
  });
  if (hash('sha256', bytes) !== manifest.weights.sha256) {
    throw new OutpostError('package-failed', `${weights} is not what the manifest of ${name} says.`);
  }
  return { path: join('models', name, manifest.weights.file), bytes };
}

/** Sorted by path, so that the same files give the same hash. */
export function describe(assets: readonly Asset[]): Pick<Content, 'hash' | 'files'> {
  const files = assets
    .map(({ path, bytes }) => contentFile(path, bytes))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const all = createHash('sha256');
  for (const { path, sha256 } of files) all.update(`${path}\0${sha256}\n`);
  return { hash: all.digest('hex'), files };
}

const zstd = promisify(zstdCompress);

/** Effort of the compression: `small` takes most of a minute, `fast` makes a binary a tenth larger, for trying. */
export const levels = { small: 22, fast: 3 } as const;

/** What `unpack` undoes; machine code is made alike before. */
export const compress = async ({ path, bytes }: Asset, machine: Machine, level: number): Promise<Uint8Array> =>
  zstd(isCode(path) ? toAbsolute(bytes, machine) : bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 },
  });

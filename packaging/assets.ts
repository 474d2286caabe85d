/**
 * Gathers what the binary carries beside the program, and describes it.
 *
 *   bundle, natives, the default model, profiles, schema, licences --> [(path, bytes)] --> Content + compressed assets
 */
import { createHash, hash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { OutpostError } from '#agent/core/errors.ts';
import type { Content, ContentFile } from './content.ts';
import { filesOf, nativeAddons } from './natives.ts';
import type { Target } from './targets.ts';

export interface Asset {
  /** As in ContentFile. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What of the repository ships: found at run time by `assetPath`, under the same path. */
const shipped = [
  { folder: 'models', file: /^[^/]+\/(manifest\.json|labels[^/]*)$/ },
  { folder: 'config', file: /^(profiles\/[^/]+\.ya?ml|outpost\.schema\.json)$/ },
  { folder: 'drivers', file: /^template\// },
  { folder: '.', file: /^(LICENSE|NOTICE)$/ },
] as const;

export async function repositoryAssets(repository: string): Promise<Asset[]> {
  const found = await Promise.all(
    shipped.map(async ({ folder, file }) => {
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

export async function nativeAssets(repository: string, target: Target): Promise<Asset[]> {
  const files = nativeAddons.flatMap((addon) => filesOf(addon, target, join(repository, 'node_modules')));
  return Promise.all(files.map(async ({ from, to }) => ({ path: to, bytes: await readFile(from) })));
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
export function describe(assets: readonly Asset[]): Content {
  const files = assets
    .map(({ path, bytes }): ContentFile => ({ path, sha256: hash('sha256', bytes), bytes: bytes.length }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const all = createHash('sha256');
  for (const { path, sha256 } of files) all.update(`${path}\0${sha256}\n`);
  return { hash: all.digest('hex'), files };
}

const zstd = promisify(zstdCompress);

/** Effort of the compression: `small` takes most of a minute, `fast` makes a binary a tenth larger, for trying. */
export const levels = { small: 19, fast: 3 } as const;

export const compress = async ({ bytes }: Asset, level: number): Promise<Uint8Array> =>
  zstd(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } });

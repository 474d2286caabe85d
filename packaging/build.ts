/**
 * `npm run package -- x64`: the single executable.
 *
 *   start.ts -> bundle -+
 *   node_modules -> natives -+-> assets -> Content -> blob -> executable -> dist/outpost-linux-x64
 *   models, config, licences -+
 */
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { note, print, printTable, reportError } from '#agent/cli/output.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { resolveModel } from '#models/registry.ts';
import { type Asset, compress, describe, levels, modelAsset, nativeAssets, repositoryAssets } from './assets.ts';
import { type Bundle, bundle } from './bundle.ts';
import { bundleFile, contentAsset } from './content.ts';
import { makeExecutable } from './executable.ts';
import { filesOf, nativeAddons } from './natives.ts';
import { noticesFor, writeNotices } from './notices.ts';
import { type Target, chooseTargets, nodeVersion } from './targets.ts';

const repository = resolve(import.meta.dirname, '..');
const defaultModel = 'yolox-nano';

const nodeOf = ({ nodePackage }: Target): string => join('node_modules', nodePackage, 'bin', 'node');

const usage = `npm run package -- [x64|arm64|all] [--out DIR] [--model-file FILE] [--fast]

  --out DIR          where the binary and its notices go (dist)
  --model-file FILE  the weights of ${defaultModel}, instead of those that \`models pull\` brought
  --fast             compress less: for trying`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      'model-file': { type: 'string' },
      fast: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(usage);
  for (const target of chooseTargets(positionals[0] ?? 'x64')) {
    const out = resolve(values.out ?? join(repository, 'dist'));
    const level = values.fast ? levels.fast : levels.small;
    await buildFor(target, out, level, values['model-file'] ?? (await resolveModel(defaultModel)).weightsPath);
  }
}

async function buildFor(target: Target, out: string, level: number, weights: string): Promise<void> {
  if (process.version !== `v${nodeVersion}`) {
    throw new OutpostError('package-failed', `This is Node ${process.version}; the build needs v${nodeVersion}.`, {
      hint: 'Use `npm run package`, which runs the Node that the project pins.',
    });
  }
  note(`outpost for linux-${target.arch}`);
  note('  bundle');
  const bundled = await bundle(repository, target);
  const notices = await noticesText(target, bundled);
  const assets: Asset[] = [
    { path: bundleFile, bytes: bundled.text },
    { path: 'THIRD-PARTY-NOTICES', bytes: Buffer.from(notices) },
    await modelAsset(repository, defaultModel, weights),
    ...(await nativeAssets(repository, target)),
    ...(await repositoryAssets(repository)),
  ];
  note('  compress');
  const packed = await pack(assets, level);
  note('  executable');
  await mkdir(out, { recursive: true });
  const output = join(out, `outpost-linux-${target.arch}`);
  const { stripped } = await makeExecutable(
    target,
    { node: join(repository, nodeOf(target)), program: bundled.text, assets: packed },
    await mkdtemp(join(tmpdir(), 'outpost-package-')),
    output,
  );
  await writeFile(join(out, 'THIRD-PARTY-NOTICES'), notices);
  await report(assets, packed, output, stripped);
}

async function pack(assets: readonly Asset[], level: number): Promise<ReadonlyMap<string, Uint8Array>> {
  const packed = await Promise.all(assets.map(async (asset) => [asset.path, await compress(asset, level)] as const));
  return new Map([...packed, [contentAsset, Buffer.from(JSON.stringify(describe(assets)))] as const]);
}

async function noticesText(target: Target, { inputs }: Bundle): Promise<string> {
  const modules = join(repository, 'node_modules');
  const natives = nativeAddons.flatMap((addon) => filesOf(addon, target, modules));
  const files = [...inputs, ...natives.map(({ from }) => relative(repository, from)), nodeOf(target)];
  return writeNotices(await noticesFor(repository, files));
}

async function report(
  assets: readonly Asset[],
  packed: ReadonlyMap<string, Uint8Array>,
  output: string,
  stripped: boolean,
): Promise<void> {
  const bytes = await readFile(output);
  const rows = assets.map(({ path, bytes: raw }) => [path, raw.length, packed.get(path)?.length ?? 0]);
  printTable([['file', 'bytes', 'packed'], ...rows]);
  if (!stripped) note('  Node is not stripped: there is no `strip` here (apt-get install binutils).');
  print(`${output}  ${(bytes.length / 1e6).toFixed(1)} MB`);
  print(`sha256 ${hash('sha256', bytes)}`);
}

try {
  await main();
} catch (thrown) {
  reportError(thrown, false);
}

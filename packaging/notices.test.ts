import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageComponent, packageOf } from './components.ts';
import { sourceNotices, writeNotices } from './notices.ts';

const repository = resolve(import.meta.dirname, '..');
const installed = async (name: string): ReturnType<typeof packageComponent> =>
  await packageComponent(join(repository, 'node_modules', name));

describe('packageOf', () => {
  test.each([
    ['node_modules/zod/v4/core.js', 'node_modules/zod'],
    ['node_modules/@img/colour/color.cjs', 'node_modules/@img/colour'],
    ['node_modules/mqtt/node_modules/ws/lib/a.js', 'node_modules/mqtt/node_modules/ws'],
    ['agent/main.ts', undefined],
  ])('%s', (input, folder) => {
    expect(packageOf(input)).toBe(folder);
  });
});

test('a package is named with its licence and its text', async () => {
  const zod = await installed('zod');
  expect(zod).toMatchObject({ name: 'zod', licence: 'MIT', parts: [] });
  expect(writeNotices([zod])).toContain('Permission is hereby granted');
});

test('one without a text says so, and where its sources are', async () => {
  const text = writeNotices([await installed('onnxruntime-node')]);
  expect(text).toMatch(/carries no licence text; its metadata names MIT.*github\.com\/[Mm]icrosoft\/onnxruntime/);
});

test('the libraries inside libvips are named with their versions and licences', async () => {
  const { parts } = await installed(`@img/sharp-libvips-linux-${process.arch}`);
  expect(parts.length).toBeGreaterThan(25);
  expect(parts.find(({ name }) => name === 'libvips')).toMatchObject({
    version: expect.stringMatching(/^8\./),
    licence: 'LGPLv3',
  });
  expect(parts.filter(({ version }) => version === 'not named').map(({ name }) => name)).toEqual(['libnsgif']);
});

test('SQLite inside better-sqlite3 is named', async () => {
  expect((await installed('better-sqlite3')).parts).toMatchObject([
    { name: 'sqlite', version: expect.stringMatching(/^3\.\d+\.\d+/) },
  ]);
});

test('from source, what serves development alone is left out', async () => {
  const text = await sourceNotices(repository);
  expect(text).toMatch(/^ {2}zod \d/m);
  expect(text).not.toMatch(/^ {2}(vitest|esbuild|@yao-pkg\/pkg) /m);
});

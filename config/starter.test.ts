import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { leavesOf } from './fields.ts';
import { readConfig } from './load.ts';
import { configSchema } from './schema.ts';
import { starterConfig } from './starter.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-starter-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function read(text: string) {
  const file = join(folder, 'outpost.yaml');
  writeFileSync(file, text);
  const result = await readConfig({ file });
  return result.ok ? result : expect.unreachable(JSON.stringify(result.problems));
}

it('says nothing but where the store is', async () => {
  const { config, originOf } = await read(starterConfig({ storagePath: '/var/lib/outpost' }));
  expect(config.storage.path).toBe('/var/lib/outpost');
  expect(originOf(['storage', 'path']).kind).toBe('file');
  const { config: byDefault } = await read('{}');
  expect({ ...config, storage: byDefault.storage }).toEqual(byDefault);
});

it('without its comment marks it is a configuration, with the defaults and the examples', async () => {
  const { config } = await read(starterConfig().replace(/^#(?!#)/gm, ''));
  const { config: byDefault } = await read('{}');
  expect({ ...config, cameras: [], rules: [] }).toEqual(byDefault);
  expect(config.cameras).toHaveLength(1);
  expect(config.rules).toHaveLength(1);
});

it('names every key that stands outside lists', () => {
  const text = starterConfig();
  const keys = leavesOf(configSchema).flatMap(({ pattern }) =>
    pattern.includes('[') ? [] : [pattern.split('.').at(-1) ?? ''],
  );
  expect(keys.length).toBeGreaterThan(20);
  expect(keys.filter((key) => !new RegExp(`^#* *${key}:`, 'm').test(text))).toEqual([]);
});

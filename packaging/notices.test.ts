import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { noticesFor, packageOf, writeNotices } from './notices.ts';

const repository = resolve(import.meta.dirname, '..');

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

test('each package is named once, with its licence', async () => {
  const notices = await noticesFor(repository, ['node_modules/zod/a.js', 'node_modules/zod/b.js', 'agent/main.ts']);
  expect(notices.map(({ name, licence }) => [name, licence])).toEqual([['zod', 'MIT']]);
  expect(writeNotices(notices)).toContain('Permission is hereby granted');
});

test('the libraries inside libvips are named with their licences', async () => {
  const [notice] = await noticesFor(repository, ['node_modules/@img/sharp-libvips-linux-x64/lib/libvips-cpp.so']);
  expect(notice?.text).toContain('LGPLv3');
});

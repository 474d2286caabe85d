import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesOf, nativeAddons, openExpression } from './natives.ts';
import { chooseTargets, targets } from './targets.ts';

const modules = resolve(import.meta.dirname, '../node_modules');
const x64 = chooseTargets('x64')[0] ?? expect.unreachable('x64 is there');

describe.each(nativeAddons)('$package', (addon) => {
  test('has exactly one addon, and names it in the expression that opens it', () => {
    const nodes = filesOf(addon, x64, modules).filter(({ to }) => to.endsWith('.node'));
    expect(nodes).toHaveLength(1);
    expect(openExpression(addon, x64, modules)).toContain(JSON.stringify(`/${nodes[0]?.to}`));
  });

  test('its loader, in the installed version, is replaced', () => {
    const loaders = {
      'better-sqlite3': 'better-sqlite3/lib/binding.js',
      'onnxruntime-node': 'onnxruntime-node/dist/binding.js',
      serialport: '@serialport/bindings-cpp/dist/serialport-bindings.js',
      sharp: 'sharp/dist/sharp.cjs',
    };
    const path = join(modules, loaders[addon.package as keyof typeof loaders]);
    expect(path).toMatch(addon.loader);
    const text = addon.load('OPEN_HERE', readFileSync(path, 'utf8'));
    expect(text).toContain('OPEN_HERE');
    expect(text).not.toMatch(/require\([^)]*\.node['"`]\)/);
  });
});

test('a loader that has changed is an error, not a binary that fails later', () => {
  const ort = nativeAddons.find((addon) => addon.package === 'onnxruntime-node');
  expect(() => ort?.load('OPEN_HERE', 'exports.binding = somethingElse();')).toThrow(/loader of a native addon/);
});

test('an addon that is not installed is named', () => {
  const [addon] = nativeAddons;
  expect(() => addon && filesOf(addon, x64, '/nowhere')).toThrow(/better-sqlite3/);
});

describe('chooseTargets', () => {
  test.each(['arm64', 'all'])('%s says that it comes later', (name) => {
    expect(() => chooseTargets(name)).toThrow(/later release/);
  });
  test('an unknown target is refused', () => {
    expect(() => chooseTargets('riscv')).toThrow(/no target riscv/);
  });
  test('every target pins its Node by hash', () => {
    expect(targets.every(({ nodeSha256 }) => /^[0-9a-f]{64}$/.test(nodeSha256))).toBe(true);
  });
});

/** What the schema promises to everything that is made from it. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { assetPath } from '#agent/core/program.ts';
import { fieldAt, leavesOf } from './fields.ts';
import { configJsonSchema } from './json-schema.ts';
import { loadConfig } from './load.ts';
import { configSchema, evidenceServerSchema, profileNames } from './schema.ts';
import { isPlain, valueAt } from './path.ts';

const at = (...path: (string | number)[]): unknown => valueAt(configJsonSchema(), path);

describe('the schema', () => {
  it.each(leavesOf(configSchema).map((leaf) => [leaf.pattern, leaf] as const))('%s is described', (_pattern, leaf) => {
    expect(leaf.meta.title).toMatch(/^[A-Z]/);
    expect(leaf.meta.description).toMatch(/\.$/);
  });

  it('has a profile file for each profile', async () => {
    for (const name of profileNames) {
      expect(await readFile(assetPath('config', 'profiles', `${name}.yaml`), 'utf8')).toMatch(/^# /);
      expect((await loadConfig({ profile: name, search: [] })).config.profile).toBe(name);
    }
  });

  it('knows what stands at a path', () => {
    const data = { rules: [{ kind: 'crowd' }] };
    expect(fieldAt(configSchema, ['rules', 0, 'atLeast'], data)).toMatchObject({ byDefault: 5, optional: true });
    expect(fieldAt(configSchema, ['rules', 0, 'margin'], data)).toBeUndefined();
    expect(fieldAt(configSchema, ['cameras', 0, 'zones', 0, 'polygon', 0, 1], {})?.schema).toBeDefined();
  });
});

describe('the schema for editors', () => {
  it('has descriptions, defaults, patterns of units, and no key that editors do not know', () => {
    expect(at('properties', 'cameras', 'items', 'properties', 'stallAfter')).toMatchObject({
      type: 'string',
      default: '5s',
      description: expect.stringContaining('counts as down') as string,
      pattern: expect.stringContaining('ms|s|m|h|d') as string,
    });
    expect(JSON.stringify(configJsonSchema())).not.toMatch(/"(restart|secret|unit)":/);
  });

  it('offers a file for secrets, and each kind of rule', () => {
    expect(at('properties', 'uplink', 'properties', 'password', 'anyOf', 1, 'required')).toEqual(['file']);
    const kinds = at('properties', 'rules', 'items', 'oneOf') as readonly unknown[];
    expect(kinds.map((kind) => valueAt(kind, ['properties', 'kind', 'const']))).toEqual([
      'zone',
      'intrusion',
      'line',
      'loitering',
      'crowd',
      'reading',
    ]);
  });

  it('has patterns that agree with the parsers', () => {
    const patterns: [string, string][] = [];
    const collect = (node: unknown): void => {
      if (!isPlain(node) && !Array.isArray(node)) return;
      if (isPlain(node) && typeof node['pattern'] === 'string' && typeof node['default'] === 'string') {
        patterns.push([node['pattern'], node['default']]);
      }
      for (const inner of Object.values(node)) collect(inner);
    };
    collect(configJsonSchema());
    expect(patterns.length).toBeGreaterThan(10);
    for (const [pattern, byDefault] of patterns) expect(byDefault).toMatch(new RegExp(pattern, 'u'));
  });
});

describe('the server of pictures', () => {
  const isTaken = (url: string): boolean => evidenceServerSchema.safeParse({ url }).success;

  it.each([
    'https://store.example/pictures',
    'https://store.example:8443',
    'http://localhost:9000/bucket',
    'http://127.0.0.1/',
    'http://[::1]:80',
  ])('may be %s', (url) => {
    expect(isTaken(url)).toBe(true);
  });

  it.each([
    'http://store.example/pictures',
    'http://127.0.0.1.example/',
    'http://localhost@store.example/',
    'https://user:secret@store.example/',
    'https://store.example/?sig=secret',
    'ftp://store.example/',
    'store.example',
    'https://',
  ])('may not be %s', (url) => {
    expect(isTaken(url)).toBe(false);
  });
});

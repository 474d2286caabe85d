import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OutpostError } from '#agent/core/errors.ts';
import { type Asset, describe as describeContent } from './assets.ts';
import type { CacheChoice } from '#agent/core/cache-folder.ts';
import { type Machine, toAbsolute } from './branches.ts';
import { isCode } from './content.ts';
import { unpack } from './unpack.ts';

const assets: readonly Asset[] = [
  { path: 'outpost.cjs', bytes: Buffer.from('"use strict";') },
  { path: 'natives/a/lib/a.node', bytes: Buffer.alloc(300_000, 7) },
  { path: 'empty', bytes: Buffer.alloc(0) },
];
const content = describeContent(assets);
const packed = new Map(
  assets.map(({ path, bytes }) => [
    path,
    zstdCompressSync(isCode(path) ? toAbsolute(bytes, process.arch as Machine) : bytes),
  ]),
);
const readAsset = (name: string): Uint8Array => packed.get(name) ?? new Uint8Array();
const another = zstdCompressSync(Buffer.from('another'));
const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
const user = process.getuid?.() ?? 0;

let root: string;
let choice: CacheChoice;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'outpost-unpack-'));
  choice = { folder: join(root, 'cache'), named: true };
});
afterEach(() => rmSync(root, { recursive: true }));

const codeOf = (body: () => unknown): string | undefined => {
  try {
    body();
  } catch (thrown) {
    if (thrown instanceof OutpostError) return thrown.code;
    throw thrown;
  }
  return undefined;
};

describe('unpack', () => {
  test('puts every file there, readable by this user alone, and nothing else', () => {
    const folder = unpack(content, readAsset, [choice], user);
    for (const { path, bytes } of assets) {
      expect(readFileSync(join(folder, path))).toEqual(bytes);
      expect(statSync(join(folder, path)).mode & 0o777).toBe(0o500);
    }
    expect(readdirSync(folder).toSorted()).toEqual(['empty', 'natives', 'outpost.cjs']);
  });

  test('leaves what is right as it is', () => {
    const folder = unpack(content, readAsset, [choice], user);
    const before = statSync(join(folder, 'outpost.cjs')).ino;
    unpack(content, () => expect.unreachable('nothing is to be read'), [choice], user);
    expect(statSync(join(folder, 'outpost.cjs')).ino).toBe(before);
  });

  test.each([
    ['truncated', (path: string): void => writeFileSync(path, 'x')],
    ['flipped', (path: string): void => writeFileSync(path, Buffer.alloc(300_000, 8))],
    ['removed', (path: string): void => rmSync(path)],
    [
      'a link elsewhere',
      (path: string): void => {
        rmSync(path);
        symlinkSync('/etc/hostname', path);
      },
    ],
  ])('repairs a file that is %s', (_what, damage) => {
    const folder = unpack(content, readAsset, [choice], user);
    const path = join(folder, 'natives/a/lib/a.node');
    chmodSync(path, 0o700);
    damage(path);
    unpack(content, readAsset, [choice], user);
    expect(readFileSync(path)).toEqual(Buffer.alloc(300_000, 7));
  });

  test('a file where a folder should be is named, with what to do', () => {
    writeFileSync(choice.folder, '');
    expect(codeOf(() => unpack(content, readAsset, [choice], user))).toBe('cache-unusable');
  });

  test('a folder that others may write to is refused', () => {
    mkdirSync(choice.folder);
    chmodSync(choice.folder, 0o777);
    expect(codeOf(() => unpack(content, readAsset, [choice], user))).toBe('cache-unusable');
  });

  test('a folder of another user is refused', () => {
    expect(codeOf(() => unpack(content, readAsset, [choice], user + 1))).toBe('cache-unusable');
  });

  test('looks further where nobody named the folder', () => {
    writeFileSync(join(root, 'home'), '');
    const home = { folder: join(root, 'home', '.cache'), named: false };
    expect(unpack(content, readAsset, [home, choice], user)).toContain(choice.folder);
  });

  test('a folder in which nothing can be made is named', () => {
    const nowhere = { folder: '/proc/outpost', named: true };
    expect(codeOf(() => unpack(content, readAsset, [nowhere], user))).toBe('cache-unusable');
  });

  test('an asset that is not what was built is refused', () => {
    expect(codeOf(() => unpack(content, () => another, [choice], user))).toBe('program-damaged');
  });

  test('an asset that unpacks to more than was built is refused', () => {
    expect(codeOf(() => unpack(content, () => bomb, [choice], user))).toBe('program-damaged');
  });
});

/** Unpacks in a process of its own, started by a shell command that ends in `exec "$@"`. */
async function unpackInProcess(shell: string): Promise<{ readonly status: number | null; readonly text: string }> {
  const script = join(root, 'start.ts');
  const state = join(root, 'state.json');
  const texts = [...packed].map(([name, bytes]) => [name, bytes.toString('base64')]);
  writeFileSync(state, JSON.stringify({ content, choice, user, texts }));
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs';
     import { unpack } from ${JSON.stringify(join(import.meta.dirname, 'unpack.ts'))};
     const { content, choice, user, texts } = JSON.parse(readFileSync(${JSON.stringify(state)}, 'utf8'));
     const assets = new Map(texts);
     try {
       unpack(content, (name) => Buffer.from(assets.get(name), 'base64'), [choice], user);
     } catch (thrown) {
       console.log(thrown.code);
     }`,
  );
  const child = spawn('sh', ['-c', shell, 'sh', process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text, [status]] = await Promise.all([new Response(Readable.toWeb(child.stdout)).text(), once(child, 'exit')]);
  return { status: status as number | null, text: text.trim() };
}

test('several starts at once all end with the whole content', async () => {
  const ends = await Promise.all([1, 2, 3].map(() => unpackInProcess('exec "$@"')));
  expect(ends).toEqual([1, 2, 3].map(() => ({ status: 0, text: '' })));
  const folder = unpack(content, () => expect.unreachable('nothing is to be read'), [choice], user);
  expect(readdirSync(folder).toSorted()).toEqual(['empty', 'natives', 'outpost.cjs']);
});

test('no space: said so, nothing half is left, and the next start mends it', async () => {
  // A limit on the size of files stands for the full disk: the same call fails at the same place.
  expect(await unpackInProcess('ulimit -f 64; exec "$@"')).toEqual({ status: 0, text: 'cache-full' });
  const folder = join(choice.folder, content.hash.slice(0, 32));
  expect(readdirSync(join(folder, 'natives/a/lib'))).toEqual([]);
  unpack(content, readAsset, [choice], user);
  expect(readFileSync(join(folder, 'natives/a/lib/a.node'))).toEqual(Buffer.alloc(300_000, 7));
});

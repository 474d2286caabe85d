import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkElf, newestNeeded, readElf } from './elf.ts';
import { targetOf } from './targets.ts';

const modules = resolve(import.meta.dirname, '../node_modules');
const [x64, arm64] = [targetOf('x64'), targetOf('arm64')];
const read = (path: string): Buffer => readFileSync(join(modules, path));
const prebuild = read('better-sqlite3/prebuilds/linux-x64.node');

describe('the gate', () => {
  test('refuses what needs a later glibc, and names file, symbol and version', () => {
    const gate = (): unknown => checkElf('natives/sqlite.node', prebuild, x64);
    expect(gate).toThrow(/natives\/sqlite\.node needs \S+ of (GLIBC_2\.3[0-9]|GLIBCXX_3\.4\.2[5-9]); the devices have/);
    expect(gate).toThrow(expect.objectContaining({ code: 'package-elf' }));
  });

  test('refuses what is for another machine', () => {
    const gate = (): unknown => checkElf('a.node', read('better-sqlite3/prebuilds/linux-arm64.node'), x64);
    expect(gate).toThrow(/is for machine 183, not for x86_64-linux-gnu/);
  });

  test.each([
    ['x64', x64],
    ['arm64', arm64],
  ])('passes the inference runtime for %s, which takes symbols of a library beside it', (arch, target) => {
    const folder = `onnxruntime-node/bin/napi-v6/linux/${arch}`;
    const library = read(`${folder}/libonnxruntime.so.1`);
    expect(newestNeeded(checkElf('libonnxruntime.so.1', library, target)).get('GLIBC')).toBe('2.28');
    const binding = read(`${folder}/onnxruntime_binding.node`);
    expect(() => checkElf('b.node', binding, target, new Set(['libonnxruntime.so.1']))).not.toThrow();
    expect(() => checkElf('b.node', binding, target)).toThrow(/may have no libonnxruntime\.so\.1/);
  });

  test.each([
    ['no ELF file', Buffer.from('#!/bin/sh\n')],
    ['empty', Buffer.alloc(0)],
    ['cut short', prebuild.subarray(0, 100_000)],
    ['nothing but a head', prebuild.subarray(0, 64)],
  ])('refuses what is %s', (_what, bytes) => {
    expect(() => checkElf('a.node', bytes, x64)).toThrow(expect.objectContaining({ code: 'package-elf' }));
  });
});

test('versions are compared number by number', () => {
  const symbols = ['2.4', '2.17', '2.28', '2.3.4'].map((version) => ({
    symbol: 'f',
    family: 'GLIBC',
    library: 'libc.so.6',
    version,
  }));
  expect(newestNeeded({ machine: 62, symbols }).get('GLIBC')).toBe('2.28');
});

test('reads every symbol that Node takes from the system', () => {
  const { symbols, machine } = readElf(readFileSync(process.execPath));
  expect([x64.machine, arm64.machine]).toContain(machine);
  expect(symbols.find(({ symbol }) => symbol === 'malloc')).toMatchObject({ library: 'libc.so.6' });
});

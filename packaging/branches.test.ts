import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Machine, toAbsolute, toRelative } from './branches.ts';

const back = (bytes: Uint8Array, machine: Machine): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  toRelative(copy, machine);
  return copy;
};

describe.each(['x64', 'arm64'] as const)('%s', (machine) => {
  test('any bytes come back', () => {
    // Bytes of calls are rare in random ones.
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0xe8, 0xe9, 0x00, 0xff, 0x94, 0x97, 0x90, 0xb0));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 400 }), (values) => {
        const bytes = Uint8Array.from(values);
        expect(back(toAbsolute(bytes, machine), machine)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test('a whole library comes back, and was changed', () => {
    const bytes = readFileSync(
      join(resolve(import.meta.dirname, '..'), `node_modules/better-sqlite3/prebuilds/linux-${machine}.node`),
    );
    const absolute = toAbsolute(bytes, machine);
    expect(Buffer.compare(absolute, bytes)).not.toBe(0);
    expect(Buffer.compare(back(absolute, machine), bytes)).toBe(0);
  });
});

test('two calls of one function become the same bytes', () => {
  const code = Buffer.alloc(64, 0x90);
  for (const at of [0, 40]) {
    code[at] = 0xe8;
    code.writeInt32LE(1000 - (at + 5), at + 1);
  }
  const absolute = Buffer.from(toAbsolute(code, 'x64'));
  expect(absolute.subarray(0, 5)).toEqual(absolute.subarray(40, 45));
  const branch = Buffer.alloc(64);
  for (const at of [0, 40]) branch.writeUInt32LE(((0x25 << 26) | ((1000 - at / 4) & 0x3ff_ffff)) >>> 0, at);
  const absoluteBranch = Buffer.from(toAbsolute(branch, 'arm64'));
  expect(absoluteBranch.subarray(0, 4)).toEqual(absoluteBranch.subarray(40, 44));
});

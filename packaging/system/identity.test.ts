import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { identityOf, isOlder } from './identity.ts';

const about =
  '"about":{"version":"0.2.0","commit":"c0ffee+changes","committed":"2026-11-26T00:00:00.000Z","arch":"x64"}';
const release = { version: '0.2.0', commit: 'c0ffee+changes', committed: '2026-11-26T00:00:00.000Z' };
const elf = Buffer.alloc(64);
elf.write('\x7fELF', 'latin1');
elf.writeUInt16LE(183, 18);

/** @param size of a chunk */
const inPieces = (bytes: Buffer, size: number): AsyncIterable<Uint8Array> =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_none, at) => bytes.subarray(at * size, (at + 1) * size)),
  );

describe('which Outpost a file is', () => {
  test.each([1, 7, 64, 100, 1000, 65_536])('is found wherever the file is cut, in pieces of %i', async (size) => {
    const file = Buffer.concat([
      elf,
      Buffer.alloc(900, '"about":{"version":"'),
      Buffer.from(about),
      Buffer.alloc(300, 1),
    ]);
    expect(await identityOf(inPieces(file, size))).toEqual({ machine: 183, release });
  });

  test('is found at the very end', async () => {
    expect(await identityOf(inPieces(Buffer.concat([elf, Buffer.from(about)]), 30))).toEqual({ machine: 183, release });
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a few bytes', Buffer.from('\x7fELF')],
    ['a script', Buffer.from('#!/bin/sh\nexec outpost "$@"\n')],
    ['facts that do not end', Buffer.from(`"about":{"version":"${'9'.repeat(500)}`)],
  ])('is not in %s', async (_what, bytes) => {
    expect(await identityOf(inPieces(bytes, 16))).toEqual({ machine: undefined, release: undefined });
  });
});

test.each([
  ['0.1.9', '0.2.0', true],
  ['0.2.0', '0.10.0', true],
  ['1.0.0', '0.9.9', false],
  ['1.0.0-rc.1', '1.0.0', true],
  ['1.0.0', '1.0.0-rc.1', false],
  ['1.0.0', '1.0.0', false],
])('%s before %s: %s', (one, other, older) => {
  const made = (version: string) => ({ ...release, version });
  expect(isOlder(made(one), made(other))).toBe(older);
});

test('of two with one version, the earlier commit is the older', () => {
  const earlier = { ...release, committed: '2026-11-25T23:59:59.000Z' };
  expect(isOlder(earlier, release)).toBe(true);
  expect(isOlder(release, earlier)).toBe(false);
  expect(isOlder(release, release)).toBe(false);
});

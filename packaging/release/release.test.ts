/** A release, as its maker signed it, and as a bad stick or a bad person changed it. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parsePublicKey } from '#agent/domain/signature.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { newKey } from '#agent/trust/keys.ts';
import { releaseKeys } from './keys.ts';
import { openRelease } from './open.ts';
import { readSums, signSums, writeSums } from './sums.ts';

const key = newKey();
const trusted = [key.publicBase64];
const files = new Map([
  ['outpost-linux-x64', Buffer.alloc(200_000, 7)],
  ['empty', Buffer.alloc(0)],
  ['README.md', Buffer.from('read me')],
]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-release-'));
  mkdirSync(join(folder, 'stick'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const stick = (...parts: readonly string[]): string => join(folder, 'stick', ...parts);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function lay(): void {
  for (const [name, bytes] of files) writeFileSync(stick(name), bytes);
  const sums = writeSums(new Map([...files].map(([name, bytes]) => [name, sha256(bytes)])));
  writeFileSync(stick('SHA256SUMS'), sums);
  writeFileSync(stick('SHA256SUMS.sig'), signSums(sums, key.privatePem));
}

function archive(...options: readonly string[]): string {
  const tar = join(folder, 'release.tar');
  execFileSync('tar', [
    '-C',
    stick(),
    '--format=ustar',
    ...options,
    '-cf',
    tar,
    'SHA256SUMS',
    'SHA256SUMS.sig',
    ...files.keys(),
  ]);
  return tar;
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe.each(['folder', 'archive'])('from a %s', (kind) => {
  const place = (): string => (kind === 'folder' ? stick() : archive());

  it('gives every file as it was signed, and nothing that was not', async () => {
    lay();
    writeFileSync(stick('junk of the stick.txt'), '');
    const release = await openRelease(place(), trusted);
    expect(release.names.toSorted()).toEqual([...files.keys()].toSorted());
    for (const [name, bytes] of files) expect((await bytesOf(release.read(name))).equals(bytes)).toBe(true);
    await expect(bytesOf(release.read('junk'))).rejects.toMatchObject({ code: 'release-damaged' });
  });

  it.each([
    ['another key', (): void => undefined, [newKey().publicBase64], 'release-untrusted'],
    ['no key', (): void => undefined, [], 'release-untrusted'],
    ['a key that is none', (): void => undefined, ['garbage'], 'trust-key'],
    ['a flipped byte', (): void => writeFileSync(stick('README.md'), 'read mf'), trusted, 'release-damaged'],
    ['a longer file', (): void => appendFileSync(stick('README.md'), '!'), trusted, 'release-damaged'],
    ['an empty signature', (): void => writeFileSync(stick('SHA256SUMS.sig'), ''), trusted, 'release-untrusted'],
    ['sums of somebody else', (): void => appendFileSync(stick('SHA256SUMS'), '\n'), trusted, 'release-untrusted'],
    [
      'sums without end',
      (): void => writeFileSync(stick('SHA256SUMS'), Buffer.alloc(100_000, 32)),
      trusted,
      'release-untrusted',
    ],
  ] as const)('is refused with %s', async (_what, change, keys, code) => {
    lay();
    change();
    await expect(openRelease(place(), keys)).rejects.toMatchObject({ code });
  });
});

it('a file that is missing, a folder that is, and one that changes after it was checked', async () => {
  lay();
  const release = await openRelease(stick(), trusted);
  writeFileSync(stick('README.md'), 'READ ME');
  await expect(bytesOf(release.read('README.md'))).rejects.toMatchObject({ code: 'release-damaged' });
  rmSync(stick('README.md'));
  await expect(openRelease(stick(), trusted)).rejects.toMatchObject({ code: 'release-damaged' });
  await expect(openRelease(join(folder, 'none'), trusted)).rejects.toMatchObject({ code: 'release-missing' });
  await expect(openRelease(folder, trusted)).rejects.toMatchObject({ code: 'release-untrusted' });
});

describe('an archive that leads elsewhere is none', () => {
  it.each([
    ['a path upwards', () => archive('--transform=s,README.md,../README.md,', '-P')],
    ['an absolute path', () => archive('--transform=s,README.md,/etc/README.md,', '-P')],
    [
      'a link',
      () => {
        renameSync(stick('README.md'), stick('other'));
        symlinkSync('/etc/passwd', stick('README.md'));
        return archive();
      },
    ],
    ['a name twice', () => archive('--transform=s,empty,README.md,')],
    ['noise', () => (writeFileSync(join(folder, 'noise'), Buffer.alloc(4096, 1)), join(folder, 'noise'))],
    [
      'half of one',
      () => {
        const tar = archive();
        writeFileSync(tar, readFileSync(tar).subarray(0, 700));
        return tar;
      },
    ],
  ])('%s', async (_what, make) => {
    lay();
    await expect(openRelease(make(), trusted)).rejects.toMatchObject({
      code: expect.stringMatching(/^release-(damaged|untrusted)$/) as string,
    });
  });

  it('sums may not lead elsewhere either', () => {
    const hash = '0'.repeat(64);
    for (const line of [
      `${hash}  ../x`,
      `${hash}  /etc/passwd`,
      `${hash}  .hidden`,
      `xyz  a`,
      `${hash}  a\n${hash}  a`,
    ])
      expect(() => readSums(`${line}\n`)).toThrow(expect.objectContaining({ code: 'release-damaged' }) as Error);
  });
});

describeWith('by hand', [needsProgram('openssl')], () => {
  it('openssl and sha256sum say the same', () => {
    lay();
    writeFileSync(stick('release.pub'), key.publicPem);
    const check =
      'openssl pkeyutl -verify -pubin -inkey release.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig && sha256sum -c SHA256SUMS';
    expect(execFileSync('sh', ['-c', check], { cwd: stick(), encoding: 'utf8' })).toContain(
      'Signature Verified Successfully',
    );
  });
});

it('every key that is built in is one', () => {
  expect(releaseKeys.filter((text) => parsePublicKey(text) === undefined)).toEqual([]);
});

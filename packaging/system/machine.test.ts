/**
 * Packages where they do not belong: a system whose glibc is too old, a machine with another processor. dpkg and rpm of this
 * machine, each with a database that was made for the test; the program is a stand-in, since nothing gets as far as it.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, needsProgram, needsRoot } from '#agent/testing/require.ts';
import { run, type Ended } from '../binary/rig.ts';
import { newestSymbols } from '../targets.ts';
import { buildNotify } from '../notify/build.ts';
import { buildDeb } from './deb.ts';
import { buildRpm } from './rpm.ts';
import type { Arch, Build } from './tool.ts';

const here = process.arch as Arch;
const elsewhere: Arch = here === 'x64' ? 'arm64' : 'x64';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-machine-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function build(arch: Arch): Build {
  const out = mkdtempSync(join(folder, 'out-'));
  const [binary, notices] = [join(out, 'binary'), join(out, 'notices')];
  for (const file of [binary, notices]) writeFileSync(file, 'stands in');
  const notify = buildNotify(here);
  return { version: '0.1.0', arch, binary, notify, notices, out, work: out, epoch: 1_790_000_000, isFast: true };
}

describeWith('the .deb', [needsRoot, needsProgram('dpkg')], () => {
  /** A system of dpkg's that has everything, and a glibc of its own age. */
  function system(glibc: string): string {
    const root = mkdtempSync(join(folder, 'debian-'));
    mkdirSync(join(root, 'var/lib/dpkg/info'), { recursive: true });
    mkdirSync(join(root, 'var/lib/dpkg/updates'));
    const versions = {
      libc6: glibc,
      'libstdc++6': '12',
      passwd: '1',
      'init-system-helpers': '1.60',
      ffmpeg: '1',
      'fonts-noto-cjk': '1',
    };
    const status = Object.entries(versions).map(
      ([name, version]) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: ${here === 'x64' ? 'amd64' : 'arm64'}\nVersion: ${version}\nMaintainer: tests <tests@example.org>\nDescription: ${name}\n`,
    );
    writeFileSync(join(root, 'var/lib/dpkg/status'), status.join('\n'));
    for (const name of Object.keys(versions)) writeFileSync(join(root, `var/lib/dpkg/info/${name}.list`), '');
    return root;
  }
  const dpkg = async (root: string, ...words: readonly string[]): Promise<Ended> =>
    await run('dpkg', [`--root=${root}`, ...words], folder, { LC_ALL: 'C' });

  test('is refused by a glibc that is too old, before anything is unpacked', async () => {
    const [deb, root] = [await buildDeb(build(here)), system('2.24')];
    const ended = await dpkg(root, '-i', deb);
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toContain(`outpost pre-depends on libc6 (>= ${newestSymbols['GLIBC']})`);
    expect(existsSync(join(root, 'usr'))).toBe(false);
  });

  test('is taken by the oldest that the build allows', async () => {
    const deb = await buildDeb(build(here));
    expect(await dpkg(system('2.28-10'), '--no-act', '-i', deb)).toMatchObject({ code: 0 });
    expect((await dpkg(system('2.27-3'), '--no-act', '-i', deb)).code).not.toBe(0);
  });

  test('is refused by a machine with another processor', async () => {
    const [deb, root] = [await buildDeb(build(elsewhere)), system('2.36')];
    const ended = await dpkg(root, '-i', deb);
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toMatch(/package architecture \(\w+\) does not match system/);
    expect(existsSync(join(root, 'usr'))).toBe(false);
  });
});

describeWith('the .rpm', [needsRoot, needsProgram('rpmbuild', 'rpm')], () => {
  /** What systems with rpm have: everything, and the glibc of CentOS 7, or the one that the build allows. */
  async function system(glibc: string): Promise<string> {
    const root = mkdtempSync(join(folder, 'rpm-'));
    const stub = join(root, 'stub.spec');
    const provides = [
      `libc.so.6(GLIBC_${glibc})(64bit)`,
      'libstdc++.so.6(GLIBCXX_3.4.24)(64bit)',
      'font(:lang=zh-cn)',
      'ffmpeg',
      'systemd',
      '/bin/sh',
      '/usr/sbin/useradd',
      '/usr/sbin/groupadd',
      '/usr/sbin/usermod',
      '/usr/bin/getent',
    ];
    writeFileSync(
      stub,
      `Name: everything\nVersion: 1\nRelease: 1\nSummary: stands in\nLicense: none\nBuildArch: noarch\n${provides
        .map((name) => `Provides: ${name}\n`)
        .join('')}%description\nStands in.\n%files\n`,
    );
    const made = await run(
      'rpmbuild',
      ['-bb', '--define', `_topdir ${root}`, '--define', `_rpmdir ${root}`, stub],
      root,
      { HOME: root },
    );
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const file = join(root, 'noarch', readdirSync(join(root, 'noarch'))[0] ?? '');
    expect(await rpm(root, '-i', file)).toMatchObject({ code: 0 });
    return root;
  }
  const rpm = async (root: string, ...words: readonly string[]): Promise<Ended> =>
    await run('rpm', ['--root', root, ...words], folder, { LC_ALL: 'C' });

  test('is refused by a glibc that is too old, for that reason alone, and taken by the oldest that the build allows', async () => {
    const packed = await buildRpm(build(here));
    const old = await system('2.17');
    const ended = await rpm(old, '-i', packed);
    expect(ended.code).not.toBe(0);
    const reasons = ended.stderr.split('\n').filter((line) => line.includes('is needed by'));
    expect(reasons.map((line) => line.trim())).toEqual([
      `libc.so.6(GLIBC_${newestSymbols['GLIBC']})(64bit) is needed by outpost-0.1.0-1.${here === 'x64' ? 'x86_64' : 'aarch64'}`,
    ]);
    expect(existsSync(join(old, 'usr/bin/outpost'))).toBe(false);
    expect(await rpm(await system('2.28'), '-i', '--test', packed)).toMatchObject({ code: 0 });
  });

  test('is refused by a machine with another processor', async () => {
    const ended = await rpm(await system('2.28'), '-i', await buildRpm(build(elsewhere)));
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toContain('is intended for a different architecture');
  });
});

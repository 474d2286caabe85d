/** The installer, into the root of an image: a folder with an empty /etc/passwd. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWith, needsProgram, needsRoot } from '#agent/testing/require.ts';
import { type InstallOptions, type Piece, planInstall, planUninstall, type Step } from './install.ts';

const piece = (content: string | Uint8Array): Piece => ({
  read: async function* () {
    yield await Promise.resolve(Buffer.from(content));
  },
});

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'outpost-image-'));
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\ndialout:x:20:\nvideo:x:44:somebody\n');
  for (const name of ['shadow', 'gshadow']) writeFileSync(join(root, 'etc', name), '', { mode: 0o600 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const plan = async (
  program: string | Uint8Array = 'one',
  more: Partial<InstallOptions> = {},
): Promise<readonly Step[]> => await planInstall({ root, program: piece(program), notify: piece('addon'), ...more });
/** What the build writes into a program. */
const programOf = (version: string, day = '2026-11-26'): string =>
  `…"about":{"version":"${version}","commit":"c0ffee","committed":"${day}T00:00:00.000Z"}…`;
const perform = async (steps: readonly Step[]): Promise<readonly string[]> => {
  for (const { run } of steps) await run();
  return steps.map(({ what }) => what);
};
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describeWith('install', [needsRoot, needsProgram('useradd', 'passwd'), needsProgram('systemctl', 'systemd')], () => {
  it('plans without touching anything', async () => {
    const steps = await plan();
    expect(steps.length).toBeGreaterThan(8);
    expect(existsSync(join(root, 'usr'))).toBe(false);
    expect(read('etc/passwd')).not.toContain('outpost');
  });

  it('makes everything once; a second run finds nothing to do, and an upgrade changes the program alone', async () => {
    await perform(await plan());
    expect(read('etc/group')).toMatch(/^dialout:x:20:outpost$/m);
    expect(read('etc/group')).toMatch(/^video:x:44:somebody,outpost$/m);
    const [, uid] = /^outpost:x:(\d+):/m.exec(read('etc/passwd')) ?? [];
    expect(statSync(join(root, 'var/lib/outpost'))).toMatchObject({ uid: Number(uid) });
    expect(statSync(join(root, 'etc/outpost/outpost.yaml')).mode & 0o777).toBe(0o640);
    expect(statSync(join(root, 'usr/bin/outpost')).mode & 0o777).toBe(0o755);
    expect(await perform(await plan())).toEqual([]);
    writeFileSync(join(root, 'etc/outpost/outpost.yaml'), 'mine: yes');
    expect(await perform(await plan('two'))).toEqual(['write /usr/bin/outpost']);
    expect(read('usr/bin/outpost')).toBe('two');
    expect(read('etc/outpost/outpost.yaml')).toBe('mine: yes');
  });

  it('mends what was changed behind its back, and what was cut off', async () => {
    await perform(await plan());
    rmSync(join(root, 'etc/udev/rules.d/70-outpost.rules'));
    writeFileSync(join(root, 'usr/bin/outpost.new'), 'half of o');
    writeFileSync(join(root, 'usr/bin/outpost'), 'damaged');
    expect(await perform(await plan())).toEqual(['write /usr/bin/outpost', 'write /etc/udev/rules.d/70-outpost.rules']);
    expect(read('usr/bin/outpost')).toBe('one');
    expect(existsSync(join(root, 'usr/bin/outpost.new'))).toBe(false);
  });

  it('uninstalled, configuration and state stay; purged, nothing; twice is no fault', async () => {
    await perform(await plan());
    writeFileSync(join(root, 'var/lib/outpost/outbox.db'), 'events');
    await perform(await planUninstall(root, false));
    expect(existsSync(join(root, 'usr/bin/outpost'))).toBe(false);
    expect(read('var/lib/outpost/outbox.db')).toBe('events');
    await perform(await planUninstall(root, true));
    for (const path of ['etc/outpost', 'var/lib/outpost', 'var/cache/outpost'])
      expect(existsSync(join(root, path))).toBe(false);
    expect(read('etc/passwd')).not.toContain('outpost');
    expect(await perform(await planUninstall(root, true))).toEqual([]);
  });

  it.each([
    ['an older version', programOf('0.1.9')],
    ['an earlier build of the same', programOf('0.2.0', '2026-11-25')],
    ['a program that does not say which it is', 'old'],
  ])('does not go back to %s, unless it is told to', async (_what, older) => {
    await perform(await plan(programOf('0.2.0')));
    await expect(plan(older)).rejects.toMatchObject({ code: 'install-downgrade' });
    expect(read('usr/bin/outpost')).toBe(programOf('0.2.0'));
    await perform(await plan(older, { allowDowngrade: true }));
    expect(read('usr/bin/outpost')).toBe(older);
    expect(await perform(await plan(programOf('0.2.0')))).toEqual(['write /usr/bin/outpost']);
    expect(await perform(await plan(programOf('0.2.0')))).toEqual([]);
  });

  it('refuses a program for another machine, whatever its name is', async () => {
    const arm64 = Buffer.alloc(64);
    arm64.write('\x7fELF', 'latin1');
    arm64.writeUInt16LE(183, 18);
    await expect(plan(arm64, { machine: 62 })).rejects.toMatchObject({
      code: 'install-machine',
      message: expect.stringContaining('is for arm64') as string,
    });
    await expect(plan('#!/bin/sh', { machine: 62 })).rejects.toMatchObject({ code: 'install-machine' });
    await expect(plan('\x7fELF'.padEnd(18) + '\u003e\0', { machine: 62 })).resolves.not.toEqual([]);
    expect(existsSync(join(root, 'usr'))).toBe(false);
  });

  it('leaves to dpkg what is dpkg’s', async () => {
    mkdirSync(join(root, 'var/lib/dpkg/info'), { recursive: true });
    writeFileSync(join(root, 'var/lib/dpkg/info/outpost.list'), '/.\n/usr/bin/outpost\n');
    await expect(plan()).rejects.toMatchObject({ code: 'install-owned' });
    await expect(planUninstall(root, true)).rejects.toMatchObject({ code: 'install-owned' });
    // removed, but not purged: dpkg lists nothing of the program
    writeFileSync(join(root, 'var/lib/dpkg/info/outpost.list'), '/etc/outpost\n');
    await expect(plan()).resolves.not.toEqual([]);
  });
});

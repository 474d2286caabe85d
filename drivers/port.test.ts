/** Where devices are: how it is written, what is plugged in, who holds it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { plainLine } from './driver.ts';
import { openPort, portText } from './open.ts';
import { holdersOf, listPorts, parsePort, pathsOf, type SystemFolders } from './port.ts';
import { openPty } from './pty.ts';

describe('a port', () => {
  it.each([
    ['/dev/ttyUSB0', { is: 'path', path: '/dev/ttyUSB0' }],
    ['usb:10C4:ea60', { is: 'usb', vendor: '10c4', product: 'ea60' }],
    ['usb:10c4:ea60/A B-1', { is: 'usb', vendor: '10c4', product: 'ea60', serial: 'A B-1' }],
    ['tcp://10.0.0.5:2001', { is: 'tcp', host: '10.0.0.5', port: 2_001 }],
    ['tcp://[::1]:7', { is: 'tcp', host: '::1', port: 7 }],
    ['ask', { is: 'ask' }],
  ])('%s is read', (text, spec) => {
    expect(parsePort(text)).toEqual(spec);
    expect(portText(parsePort(text) as never).toLowerCase()).toBe(text.toLowerCase());
  });

  it.each(['ttyUSB0', 'usb:1:2', 'tcp://h', 'tcp://h:0', 'tcp://h:70000', ''])('%s is none', (text) => {
    expect(parsePort(text)).toBeUndefined();
  });
});

describe('what is plugged in', () => {
  let folder: string;
  let folders: SystemFolders;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'outpost-sys-'));
    folders = { sys: join(folder, 'sys'), dev: join(folder, 'dev') };
    await mkdir(join(folders.sys, 'class/tty'), { recursive: true });
    await mkdir(join(folders.dev, 'serial/by-id'), { recursive: true });
  });
  afterEach(async () => await rm(folder, { recursive: true, force: true }));

  /** As the kernel lays a USB adapter out: the ids stand two folders above the port. */
  async function plug(name: string, usb: string, ids: Readonly<Record<string, string>>): Promise<void> {
    const device = join(folders.sys, 'devices', usb, `${usb}:1.0`, name);
    await mkdir(device, { recursive: true });
    for (const [key, value] of Object.entries(ids))
      await writeFile(join(folders.sys, 'devices', usb, key), `${value}\n`);
    await mkdir(join(folders.sys, 'class/tty', name), { recursive: true });
    await symlink(device, join(folders.sys, 'class/tty', name, 'device'));
    await writeFile(join(folders.dev, name), '');
    await symlink(join(folders.dev, name), join(folders.dev, 'serial/by-id', `usb-${ids['serial'] ?? usb}`));
  }

  it('is listed with its ids and lasting names; a port without hardware is not', async () => {
    await plug('ttyUSB0', '1-2', { idVendor: '067b', idProduct: '2303', serial: 'X1', product: 'Adapter' });
    await mkdir(join(folders.sys, 'class/tty/tty1'), { recursive: true });
    expect(await listPorts(folders)).toEqual([
      {
        path: join(folders.dev, 'ttyUSB0'),
        vendor: '067b',
        product: '2303',
        serial: 'X1',
        title: 'Adapter',
        links: [join(folders.dev, 'serial/by-id/usb-X1')],
      },
    ]);
  });

  it('is found by its ids, whatever its name is today', async () => {
    await plug('ttyUSB1', '1-3', { idVendor: '067b', idProduct: '2303', serial: 'X1' });
    await plug('ttyUSB0', '1-2', { idVendor: '067b', idProduct: '2303', serial: 'X2' });
    const at = async (text: string) =>
      (await pathsOf(parsePort(text) as never, folders)).map((path) => path.split('/').at(-1));
    expect(await at('usb:067b:2303/X1')).toEqual(['ttyUSB1']);
    expect(await at('usb:067b:2303')).toEqual(['ttyUSB0', 'ttyUSB1']);
    expect(await at('usb:10c4:ea60')).toEqual([]);
    expect(await at('ask')).toEqual(['ttyUSB0', 'ttyUSB1']);
    expect(await at(join(folders.dev, 'serial/by-id/usb-X1'))).toEqual(['ttyUSB1']);
    expect(await at('/nowhere')).toEqual([]);
  });
});

describeWith('who holds a port', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('is named, and in the error of who would open it', async () => {
    await using pty = openPty(clock);
    // another careful program: it holds the lock too
    const holder = spawn('flock', ['-n', pty.path, 'sleep', '600'], { stdio: 'ignore' });
    // flock starts it when the lock is its own
    await eventually(async () => (await holdersOf(pty.path)).some(({ name }) => name === 'sleep'), 'the holder');
    const opening = openPort({ is: 'path', path: pty.path }, plainLine, clock);
    await expect(opening).rejects.toMatchObject({
      code: 'port-busy',
      message: expect.stringContaining('process') as string,
    });
    for (const { pid } of await holdersOf(pty.path)) process.kill(pid, 'SIGKILL');
    if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit');
  });

  it('is nobody', async () => {
    expect(await holdersOf('/dev/surely-not-there')).toEqual([]);
  });

  it('a port that is not there, or no port, says so', async () => {
    const opening = async (path: string) => await openPort({ is: 'path', path }, plainLine, clock);
    await expect(opening('/dev/surely-not-there')).rejects.toMatchObject({ code: 'port-missing' });
    await expect(opening('/dev/null')).rejects.toMatchObject({ code: 'port-unusable' });
  });
});

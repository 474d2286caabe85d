/** A port that the agent holds is refused to a program that asks for no lock (`cat`, a terminal program), and free again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { describeWith, needsProgram, needsRoot, type Requirement } from '#agent/testing/require.ts';
import { buildNotify } from '#packaging/notify/build.ts';
import { plainLine } from './driver.ts';
import { openPty } from './pty.ts';
import { openSerial } from './serial-transport.ts';

const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const requirements = [needsRoot, needsProgram('setpriv', 'util-linux'), needsProgram('cc', 'gcc')];

beforeAll(() => void buildNotify(process.arch === 'arm64' ? 'arm64' : 'x64'));

/** Opens it as a user without rights, asking for no lock. @returns what the system says, or nothing */
async function openAsNobody(path: string): Promise<string> {
  const opening = 'sysopen(my $port, $ARGV[0], 2 | 0400) or print $!;'; // O_RDWR | O_NOCTTY
  return (await promisify(execFile)('setpriv', [...nobody, 'perl', '-e', opening, path])).stdout;
}

describeWith('a port that is held', [...requirements, needsProgram('perl')], () => {
  it('is refused to a second opener without a lock, and free when it was closed', async () => {
    await using pty = openPty(systemClock);
    chmodSync(pty.path, 0o666);
    expect(await openAsNobody(pty.path)).toBe('');
    const transport = await openSerial(pty.path, plainLine, systemClock, true);
    expect(await openAsNobody(pty.path)).toBe('Device or resource busy');
    await transport[Symbol.asyncDispose]();
    expect(await openAsNobody(pty.path)).toBe('');
  });

  it('is not held so where the other end would keep the flag', async () => {
    await using pty = openPty(systemClock);
    chmodSync(pty.path, 0o666);
    await using transport = await openSerial(pty.path, plainLine, systemClock);
    expect([transport.isOpen, await openAsNobody(pty.path)]).toEqual([true, '']);
  });
});

/** A terminal of the kernel's own that nobody uses: the last of its virtual consoles. */
const console63 = '/dev/tty63';
const needsConsole: Requirement = () => {
  try {
    closeSync(openSync(console63, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
    return undefined;
  } catch {
    return `a kernel with virtual consoles (${console63})`;
  }
};

const holder = `
import { openSerial } from ${JSON.stringify(new URL('serial-transport.ts', import.meta.url).href)};
import { systemClock } from ${JSON.stringify(new URL('../agent/core/clock.ts', import.meta.url).href)};
const line = { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1, lowLatency: false };
await openSerial(${JSON.stringify(console63)}, line, systemClock);
process.stdout.write('held');
setInterval(() => {}, 1_000);`;

describeWith('a port whose holder is killed', [...requirements, needsProgram('perl'), needsConsole], () => {
  it('is free at once', async () => {
    const { mode } = await import('node:fs').then(({ statSync }) => statSync(console63));
    chmodSync(console63, 0o666);
    let child: ChildProcess | undefined;
    try {
      child = spawn(process.execPath, ['--input-type=module', '-e', holder], { stdio: ['ignore', 'pipe', 'inherit'] });
      const over = once(child, 'exit');
      const [text] = (await Promise.race([once(child.stdout as NonNullable<typeof child.stdout>, 'data'), over])) as [
        unknown,
      ];
      expect(String(text)).toBe('held');
      expect(await openAsNobody(console63)).toBe('Device or resource busy');
      child.kill('SIGKILL');
      await over;
      expect(await openAsNobody(console63)).toBe('');
    } finally {
      child?.kill('SIGKILL');
      chmodSync(console63, mode & 0o777);
    }
  });
});

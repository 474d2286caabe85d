/**
 * `node packaging/notify/build.ts [x64|arm64] [--out FILE]`: compiles our addon (systemd's datagrams, exclusive ports).
 *
 *   notify.c --cc, or a cross compiler of Debian--> dist/natives/linux-<arch>/notify.node
 *
 * Of glibc it takes what every version since 2.17 has, so that no older sysroot is needed.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { print, reportError } from '#agent/cli/output.ts';
import { OutpostError } from '#agent/core/errors.ts';

const repository = resolve(import.meta.dirname, '../..');

export type Arch = 'x64' | 'arm64';

const crossCompilers: Readonly<Record<Arch, string>> = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' };
const debianPackages: Readonly<Record<Arch, string>> = {
  x64: 'gcc-x86-64-linux-gnu',
  arm64: 'gcc-aarch64-linux-gnu',
};

const flags = '-std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -s -Wl,--build-id=none -Wl,-z,now -Wl,-z,noexecstack';

/** The compiler for an architecture, on this one. */
export const compilerFor = (arch: Arch): string => (arch === process.arch ? 'cc' : crossCompilers[arch]);

export const builtAddonPath = (arch: Arch): string =>
  join(repository, 'dist', 'natives', `linux-${arch}`, 'notify.node');

/**
 * @returns the path of the addon
 * @throws OutpostError `package-failed`
 */
export function buildNotify(arch: Arch, out = builtAddonPath(arch)): string {
  mkdirSync(dirname(out), { recursive: true });
  const compiler = compilerFor(arch);
  const temporary = `${out}.${process.pid}`;
  const headers = join('node_modules', `node-linux-${process.arch}`, 'include', 'node');
  const args = [...flags.split(' '), '-I', headers, '-o', temporary, 'packaging/notify/notify.c'];
  const { status, error, stderr } = spawnSync(compiler, args, { cwd: repository, encoding: 'utf8' });
  if (status !== 0) {
    rmSync(temporary, { force: true });
    throw new OutpostError('package-failed', `${compiler} does not compile notify.c: ${error?.message ?? stderr}`, {
      hint: `apt-get install ${arch === process.arch ? 'gcc libc6-dev' : debianPackages[arch]}`,
    });
  }
  renameSync(temporary, out);
  return out;
}

function main(): void {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' } } });
  const arch = positionals[0] ?? process.arch;
  if (arch !== 'x64' && arch !== 'arm64') throw new OutpostError('package-target', `There is no target ${arch}.`);
  print(buildNotify(arch, values.out));
}

if (import.meta.main) {
  try {
    main();
  } catch (thrown) {
    reportError(thrown, false);
  }
}

/**
 * A Linux on ARM64 for qemu's user mode, on this machine: the libraries of a distribution, and what the kernel of a
 * Phytium FT-2000/4 board tells of its processor (its cores have no LSE atomics and no dot product).
 *
 *   libraries of Debian 11 or of the cross compiler -+-> folder for `qemu-aarch64-static -L`
 *   /proc/cpuinfo, /sys/devices/system/cpu ----------+
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../registry.ts';

/** glibc 2.36, of Debian's cross compiler. */
export function crossLibraries(folder: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync('/usr/aarch64-linux-gnu/lib', join(folder, 'lib'), { recursive: true, verbatimSymlinks: true });
}

const debian11 = ['libc6', 'libstdc++6', 'libgcc-s1'];

/**
 * glibc 2.31 and GCC 10, as Kylin V10's desktop has them: from Debian 11, by this machine's apt and its keys, with lists
 * of its own so that the machine's stay as they are.
 */
export async function debian11Libraries(folder: string): Promise<void> {
  const apt = `${folder}.apt`;
  for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, part), { recursive: true });
  const targets = await runTool('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(RELEASE)',
    'Created-By: Packages',
  ]);
  // The mirror that this machine uses for Debian itself.
  const mirror = /^(\S+\/debian\/) /m.exec(targets)?.[1];
  if (mirror === undefined) throw new Error('This machine’s apt names no mirror of Debian.');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(apt, 'sources.list'), `deb [arch=arm64 signed-by=${keys}] ${mirror} bullseye main\n`);
  const options = [
    `Dir::Etc::sourcelist=${apt}/sources.list`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${apt}/lists`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${apt}/cache`,
    'APT::Architecture=arm64',
    'APT::Architectures=arm64',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await runTool('apt-get', [...options, '-q', 'update']);
  await runTool('apt-get', [...options, '-q', 'download', ...debian11], { cwd: apt });
  mkdirSync(folder, { recursive: true });
  const packages = (await readdir(apt)).filter((file) => file.endsWith('.deb'));
  for (const file of packages) await runTool('dpkg-deb', ['-x', join(apt, file), folder]);
  await rm(apt, { recursive: true });
}

const cores = [0, 1, 2, 3];

/** Without it onnxruntime reads what this machine tells of its own processor, and ends. */
export function phytium(folder: string): void {
  const write = (path: string, text: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), `${text}\n`);
  };
  write('proc/cpuinfo', cores.map((core) => cpuinfo(core)).join('\n'));
  const cpu = 'sys/devices/system/cpu';
  for (const name of ['possible', 'present', 'online']) write(`${cpu}/${name}`, '0-3');
  write(`${cpu}/kernel_max`, '255');
  for (const core of cores) {
    const pair = core < 2 ? '0-1' : '2-3';
    const facts: Readonly<Record<string, string>> = {
      'topology/physical_package_id': '0',
      'topology/core_id': String(core),
      'topology/core_siblings_list': '0-3',
      'topology/package_cpus_list': '0-3',
      'topology/cluster_cpus_list': pair,
      'topology/thread_siblings_list': String(core),
      'cpufreq/cpuinfo_max_freq': '2600000',
      'cpufreq/cpuinfo_min_freq': '1000000',
      'regs/identification/midr_el1': '0x00000000701f6633',
      ...cache(0, 1, 'Data', '32K', String(core)),
      ...cache(1, 1, 'Instruction', '32K', String(core)),
      ...cache(2, 2, 'Unified', '2048K', pair),
      ...cache(3, 3, 'Unified', '4096K', '0-3'),
    };
    for (const [name, value] of Object.entries(facts)) write(`${cpu}/cpu${core}/${name}`, value);
  }
}

const cpuinfo = (core: number): string =>
  [
    `processor\t: ${core}`,
    'BogoMIPS\t: 100.00',
    'Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid',
    'CPU implementer\t: 0x70',
    'CPU architecture: 8',
    'CPU variant\t: 0x1',
    'CPU part\t: 0x663',
    'CPU revision\t: 3',
    '',
  ].join('\n');

const cache = (index: number, level: number, type: string, size: string, shared: string): Record<string, string> => ({
  [`cache/index${index}/level`]: String(level),
  [`cache/index${index}/type`]: type,
  [`cache/index${index}/size`]: size,
  [`cache/index${index}/shared_cpu_list`]: shared,
});

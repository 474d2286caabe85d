/**
 * Compiles better-sqlite3 from the sources in its package, for glibc 2.17: its own prebuild asks for 2.34.
 *
 *   better-sqlite3 sources + Node's headers + an old sysroot --Debian's compiler--> better_sqlite3.node, kept by the hash
 *                                                                                    of all that went in
 *
 * The compiler's own headers of C++ are taken, since the sources want C++20, and the sysroot's of C. Given only
 * `--sysroot`, Debian's cross compiler silently takes the glibc of its own.
 */
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchPackage, runTool, unpackPackage } from './registry.ts';
import type { Target } from './targets.ts';

export const sqliteFile = 'better_sqlite3.node';

export interface SqliteSources {
  /** Folder of the package better-sqlite3. */
  readonly sqlite: string;
  /** Folder of the package node-addon-api. */
  readonly addonApi: string;
  /** Folder of Node's package: its headers are below `include/node`. */
  readonly node: string;
}

/** Switches off what only later libraries have: waiting by a chosen clock came with glibc 2.30. */
const compatible = `#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
#undef _GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK
`;

/** The one function that the sources take from a later libstdc++ (GLIBCXX_3.4.29): told of an impossible length, it ends. */
const missing = `#include <new>
namespace std {
__attribute__((visibility("hidden"), noreturn)) void __throw_bad_array_new_length() { __builtin_abort(); }
}
`;

/**
 * @returns the folder that holds `sqliteFile`
 * @throws OutpostError `package-failed` with the Debian packages that are missing, `npm-failed`, `download-mismatch`
 */
export async function buildSqlite(target: Target, sources: SqliteSources, cache: string): Promise<string> {
  const compiler = await compilerOf(target);
  const recipe = await recipeOf(target, sources.sqlite);
  const key = hash('sha256', JSON.stringify([recipe, compiler, target.sysroot.integrity, await versionsOf(sources)]));
  const kept = join(cache, `better-sqlite3-${target.arch}-${key.slice(0, 32)}`);
  if (existsSync(kept) && (await isWhole(kept))) return kept;
  await rm(kept, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'sqlite-'));
  try {
    await compile(target, sources, recipe, await unpackSysroot(target, cache, work), work);
    const made = join(work, 'made');
    await mkdir(made);
    await rename(join(work, sqliteFile), join(made, sqliteFile));
    await writeFile(join(made, 'sha256'), hash('sha256', await readFile(join(made, sqliteFile))));
    // Another build may have been first; its result is the same.
    await rename(made, kept).catch(() => undefined);
    return kept;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isWhole(kept: string): Promise<boolean> {
  const [bytes, sha256] = await Promise.all([readFile(join(kept, sqliteFile)), readFile(join(kept, 'sha256'), 'utf8')]);
  return hash('sha256', bytes) === sha256;
}

/** All that decides what the compiler makes. */
interface Recipe {
  readonly c: readonly string[];
  readonly cpp: readonly string[];
  readonly link: readonly string[];
  readonly compatible: string;
  readonly missing: string;
}

async function recipeOf({ processor }: Target, sqlite: string): Promise<Recipe> {
  const gypi = await readFile(join(sqlite, 'deps/defines.gypi'), 'utf8');
  const settings = [...gypi.matchAll(/'((?:SQLITE|HAVE)_[A-Z0-9_]+(?:=[^']*)?)'/g)].map(([, name = '']) => `-D${name}`);
  const both = [
    ...processor,
    '-O3',
    '-fPIC',
    '-DNDEBUG',
    '-fvisibility=hidden',
    '-fstack-protector-strong',
    '-D_FILE_OFFSET_BITS=64',
    '-D_GNU_SOURCE',
    '-nostdinc',
  ];
  return {
    c: [...both, '-std=gnu99', '-w', ...settings],
    cpp: [
      ...both,
      '-std=c++20',
      '-fno-exceptions',
      '-fno-rtti',
      '-fvisibility-inlines-hidden',
      '-nostdinc++',
      '-DNODE_GYP_MODULE_NAME=better_sqlite3',
      '-DBUILDING_NODE_EXTENSION',
      '-DNAPI_VERSION=10',
      '-DNAPI_DISABLE_CPP_EXCEPTIONS',
      '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ],
    link: ['-shared', '-fPIC', '-s', '-Wl,-Bsymbolic', '-Wl,-z,relro,-z,now', '-Wl,--build-id=none'],
    compatible,
    missing,
  };
}

const versionsOf = async (sources: SqliteSources): Promise<readonly unknown[]> =>
  await Promise.all(
    Object.values(sources).map(async (folder: string) => {
      const { name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      return [name, version];
    }),
  );

const tool = (target: Target, name: string): string => `${target.triple}-${name}`;

/** Its whole introduction: another compiler makes another file. */
const compilerOf = async (target: Target): Promise<string> =>
  await runTool(tool(target, 'g++'), ['--version'], { packages: target.compilers });

async function unpackSysroot(target: Target, cache: string, work: string): Promise<string> {
  await fetchPackage(target.sysroot, cache);
  const toolchain = await unpackPackage(target.sysroot, cache, work);
  const name = target.triple.replace('-linux-', '-unknown-linux-');
  const archive = join(toolchain, `${name}.tar.xz`);
  await runTool('tar', ['-xJf', archive, '-C', work, `./${name}/sysroot`], { packages: ['tar', 'xz-utils'] });
  return join(work, name, 'sysroot');
}

async function compile(
  target: Target,
  { sqlite, addonApi, node }: SqliteSources,
  recipe: Recipe,
  sysroot: string,
  work: string,
): Promise<void> {
  const compiler = { cwd: work, packages: target.compilers };
  const own = (await runTool(tool(target, 'g++'), ['-print-file-name=include'], compiler)).trim();
  const ofC = ['-isystem', own, '-isystem', join(sysroot, 'usr/include')];
  const ofCpp = (await headersOfCpp(target)).flatMap((folder) => ['-isystem', folder]);
  await writeFile(join(work, 'compatible.h'), recipe.compatible);
  await writeFile(join(work, 'missing.cpp'), recipe.missing);
  const amalgamation = join(sqlite, 'deps/sqlite3');
  const cpp = [
    ...recipe.cpp,
    '-include',
    'compatible.h',
    ...ofCpp,
    ...ofC,
    ...[join(node, 'include/node'), addonApi, amalgamation].map((folder) => `-I${folder}`),
  ];
  const object = async (name: string, args: readonly string[]): Promise<string> => {
    await runTool(tool(target, name.endsWith('.c') ? 'gcc' : 'g++'), [...args, '-c', name], compiler);
    return name.replace(/.*\/|\.\w+$/g, '').concat('.o');
  };
  const objects = await Promise.all([
    object(join(amalgamation, 'sqlite3.c'), [...recipe.c, ...ofC]),
    object(join(sqlite, 'src/better_sqlite3.cpp'), cpp),
    object('missing.cpp', cpp),
  ]);
  const libstdcxx = (await runTool(tool(target, 'g++'), ['-print-file-name=libstdc++.so.6'], compiler)).trim();
  const folders = ['lib64', 'usr/lib64', 'lib', 'usr/lib'].map((folder) => `-L${join(sysroot, folder)}`);
  const link = [`--sysroot=${sysroot}`, ...recipe.link, ...folders, `-Wl,-soname,${sqliteFile}`];
  // By gcc and not g++: the library is named by its file, since the linker's name for it leads to a later one.
  await runTool(
    tool(target, 'gcc'),
    [...link, ...objects, '-o', sqliteFile, libstdcxx, '-ldl', '-lpthread', '-lm'],
    compiler,
  );
}

/** The folders in which the compiler looks for its own headers of C++. */
async function headersOfCpp(target: Target): Promise<readonly string[]> {
  const shown = await runTool('sh', ['-c', `${tool(target, 'g++')} -x c++ -E -v /dev/null 2>&1 >/dev/null`]);
  return [...shown.matchAll(/^ (\S+\/c\+\+\/\S+)$/gm)].map(([, folder = '']) => folder);
}

/**
 * Packages of npm that this machine does not install, since they are for another one: fetched once, kept as they came,
 * and held by the hash that the lock file names before anything in them is used.
 *
 *   package-lock.json -> Published --npm pack, once--> <build cache>/<name>-<version>.tgz --sha512--> a folder
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';

export interface Published {
  readonly name: string;
  readonly version: string;
  /** As in a lock file: `sha512-` and base64, over the tarball. */
  readonly integrity: string;
}

const run = promisify(execFile);

/** Where builds keep what they fetched and compiled: no part of it is trusted without its hash. */
export function buildCache(): string {
  const named = process.env['XDG_CACHE_HOME'];
  return join(named?.startsWith('/') ? named : join(homedir(), '.cache'), 'outpost-build');
}

/** @throws OutpostError `package-failed` when the lock file does not name it */
export async function lockedPackage(repository: string, name: string): Promise<Published> {
  const lock = JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, { version?: string; integrity?: string }>>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) {
    throw new OutpostError('package-failed', `package-lock.json does not name ${name}.`);
  }
  return { name, version, integrity };
}

/**
 * Unpacks a package below a folder.
 * @param parts paths in the tarball, to take only those
 * @returns the folder that holds the package
 * @throws OutpostError `npm-failed`, `download-mismatch`, `package-failed`
 */
export async function unpackPackage(
  published: Published,
  cache: string,
  below: string,
  parts: readonly string[] = [],
): Promise<string> {
  const tarball = await fetchPackage(published, cache);
  const folder = join(below, fileName(published));
  await mkdir(folder, { recursive: true });
  await runTool('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1', ...parts]);
  return folder;
}

/**
 * @param npm the program
 * @returns path of the tarball, checked
 * @throws OutpostError `npm-failed`, `download-mismatch`
 */
export async function fetchPackage(published: Published, cache: string, npm = 'npm'): Promise<string> {
  const { integrity } = published;
  const kept = join(cache, `${fileName(published)}.tgz`);
  // One that is damaged is fetched anew.
  if (existsSync(kept) && (await integrityOf(kept)) === integrity) return kept;
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetch-'));
  try {
    const fetched = await pack(published, folder, npm);
    const found = await integrityOf(fetched);
    if (found !== integrity) {
      const what = `${published.name}@${published.version}`;
      throw new OutpostError('download-mismatch', `${what} has ${found}; expected is ${integrity}.`);
    }
    await rename(fetched, kept);
    return kept;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const fileName = ({ name, version }: Published): string => `${name.replace(/^@/, '').replace('/', '-')}-${version}`;

async function pack({ name, version }: Published, folder: string, npm: string): Promise<string> {
  try {
    // Not in the repository: its settings are for its own packages.
    await run(npm, ['pack', `${name}@${version}`, '--pack-destination', folder, '--silent'], { cwd: tmpdir() });
  } catch (cause) {
    const why = systemCode(cause) === 'ENOENT' ? 'there is no npm on this machine' : firstCode(cause);
    throw new OutpostError('npm-failed', `npm cannot fetch ${name}@${version}: ${why}.`, { cause });
  }
  const file = (await readdir(folder)).find((entry) => entry.endsWith('.tgz'));
  if (file === undefined) throw new OutpostError('npm-failed', `npm left no file of ${name}@${version}.`);
  return join(folder, file);
}

/** Without addresses: a registry's may hold a token. */
const firstCode = (cause: unknown): string =>
  /npm (?:error|ERR!) code (\S+)/.exec(messageOf(cause))?.[1] ?? 'it failed without saying why';

async function integrityOf(path: string): Promise<string> {
  const hashing = createHash('sha512');
  await pipeline(createReadStream(path), hashing);
  return `sha512-${hashing.digest('base64')}`;
}

/**
 * A program of the system that the build needs.
 * @param packages Debian packages that bring it, where it is not part of every system
 * @returns its standard output
 * @throws OutpostError `package-failed` with what it said, or with how to install it
 */
export async function runTool(
  name: string,
  args: readonly string[],
  { cwd, packages = [name] }: { readonly cwd?: string; readonly packages?: readonly string[] } = {},
): Promise<string> {
  try {
    const { stdout } = await run(name, args, { ...(cwd ? { cwd } : {}), maxBuffer: 64 * 1024 ** 2 });
    return stdout;
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') {
      throw new OutpostError('package-failed', `${name} failed: ${messageOf(cause)}`, { cause });
    }
    throw new OutpostError('package-failed', `There is no ${name} on this machine.`, {
      hint: `Install it: apt-get install ${packages.join(' ')}`,
      cause,
    });
  }
}

/**
 * Node, with the program inside: Node's own single-executable format, written into a stripped copy of Node.
 *
 *   node --experimental-sea-config--> blob --postject--> executable --languages.ts, elf-cut.ts--> a smaller one
 *
 * Why plain SEA and not pkg's: see agent/decisions/009-plain-single-executable.md.
 */
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { engineFlags } from '#agent/core/program.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { cut, placeInFile } from './elf-cut.ts';
import { definedSymbol } from './elf.ts';
import { keepLanguages } from './languages.ts';
import { runTool } from './registry.ts';
import type { Target } from './targets.ts';

const run = promisify(execFile);

/** Postject looks for it in Node: the place that says whether a blob is there. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

export interface Ingredients {
  /** Path of the Node executable to build on, as published. */
  readonly node: string;
  /** What runs first, CommonJS. */
  readonly loader: Uint8Array;
  /** Assets by name, as `node:sea` gives them out. */
  readonly assets: ReadonlyMap<string, Uint8Array>;
}

/**
 * @param work an empty folder; names in it are relative, so that they do not make two builds differ
 * @throws OutpostError `package-failed`
 */
export async function makeExecutable(
  target: Target,
  { node, loader, assets }: Ingredients,
  work: string,
  output: string,
): Promise<void> {
  await checkNode(target, node);
  const blob = await makeBlob(loader, assets, work);
  const executable = join(work, 'outpost');
  await copyFile(node, executable);
  await chmod(executable, 0o755);
  // Before the injection, never after: it would take the blob away.
  await runTool(`${target.triple}-strip`, ['--strip-all', executable], { packages: target.compilers });
  await inject(executable, blob);
  // After the injection, which would lay out the segments anew.
  const shorter = withoutLanguages(await readFile(executable));
  await mkdir(dirname(output), { recursive: true });
  await writeFile(`${output}.new`, shorter, { mode: 0o755 });
  await rename(`${output}.new`, output);
}

/**
 * @param executable is written into
 * @returns a shorter one
 * @throws OutpostError `package-failed`
 */
export function withoutLanguages(executable: Buffer): Buffer {
  const { address, bytes } = definedSymbol(executable, /^icudt\d+_dat$/);
  const place = placeInFile(executable, address);
  const kept = keepLanguages(executable.subarray(place, place + bytes));
  kept.copy(executable, place);
  return cut(executable, address, kept.length, bytes);
}

async function checkNode(target: Target, node: string): Promise<void> {
  const found = hash('sha256', await readFile(node));
  if (found === target.nodeSha256) return;
  throw new OutpostError('package-failed', `${node} has sha256 ${found}; expected ${target.nodeSha256}.`, {
    hint: 'Run `npm ci` again: it brings the Node that is built on.',
  });
}

async function makeBlob(loader: Uint8Array, assets: ReadonlyMap<string, Uint8Array>, work: string): Promise<string> {
  await writeFile(join(work, 'loader.cjs'), loader);
  const names = await Promise.all(
    [...assets].map(async ([name, bytes], index) => {
      await writeFile(join(work, `asset-${index}`), bytes);
      return [name, `asset-${index}`] as const;
    }),
  );
  const config = {
    main: 'loader.cjs',
    output: 'outpost.blob',
    disableExperimentalSEAWarning: true,
    execArgv: [...engineFlags],
    useSnapshot: false,
    // A code cache differs from build to build.
    useCodeCache: false,
    assets: Object.fromEntries(names),
  };
  await writeFile(join(work, 'sea.json'), JSON.stringify(config));
  try {
    await run(process.execPath, ['--experimental-sea-config', 'sea.json'], { cwd: work });
  } catch (cause) {
    throw new OutpostError('package-failed', `Node cannot make the blob: ${messageOf(cause)}`, { cause });
  }
  return join(work, 'outpost.blob');
}

/** As a process of its own: it warns, harmlessly, about section names of Node on its standard error. */
async function inject(executable: string, blob: string): Promise<void> {
  const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  try {
    await run(process.execPath, [postject, executable, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse]);
  } catch (cause) {
    throw new OutpostError('package-failed', `The blob cannot be put into Node: ${messageOf(cause)}`, { cause });
  }
}

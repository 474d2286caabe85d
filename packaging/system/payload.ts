/**
 * The files of a package, laid out below a root.
 *
 *   binary, notify.node, unit, udev's rules, first configuration, documents --payload--> [Placed] --stage--> folder
 */
import { chmod, copyFile, mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { program } from '#agent/cli/commands.ts';
import { assetPath } from '#agent/core/program.ts';
import { generatedPath, places, udevFolders, udevName, unitFolders, unitName } from './layout.ts';
import { starterPlace } from './scripts.ts';
import { manPage } from './man.ts';
import type { Build } from './tool.ts';

export interface Placed {
  /** Absolute, on the device. */
  readonly path: string;
  readonly mode: number;
  /** Bytes, or the file that holds them. */
  readonly content: Uint8Array | { readonly file: string };
}

/** Best compression, and no time inside. */
export const gzip = (text: string | Uint8Array): Uint8Array => gzipSync(text, { level: 9 });

export async function payload(
  { binary, notify, notices, version, epoch }: Build,
  kind: 'deb' | 'rpm',
): Promise<readonly Placed[]> {
  const folder = assetPath('packaging', 'docs');
  const pages = (await readdir(folder)).filter((name) => name.endsWith('.md')).toSorted();
  const text = async (...parts: readonly string[]): Promise<Uint8Array> => await readFile(assetPath(...parts));
  const file = (path: string, content: Placed['content'], mode = 0o644): Placed => ({ path, mode, content });
  return [
    file(places.program, { file: binary }, 0o755),
    file(places.notify, { file: notify }),
    file(join(unitFolders[kind], unitName), await readFile(generatedPath(unitName))),
    file(join(udevFolders[kind], udevName), await readFile(generatedPath(udevName))),
    file(starterPlace, await readFile(generatedPath('outpost.yaml'))),
    file('/usr/share/man/man1/outpost.1.gz', gzip(manPage(program(false), { version, epoch }))),
    file(join(places.docs, 'NOTICE'), await text('NOTICE')),
    file(join(places.docs, 'THIRD-PARTY-NOTICES.gz'), gzip(await readFile(notices))),
    file(join(places.docs, 'REFERENCE.md.gz'), gzip(await text('config', 'REFERENCE.md'))),
    ...(await Promise.all(
      pages.map(async (name) => file(join(places.docs, name), await text('packaging', 'docs', name))),
    )),
  ];
}

/** @param epoch seconds since 1970: the time of every file */
export async function stage(root: string, files: readonly Placed[], epoch: number): Promise<void> {
  for (const { path, mode, content } of files) {
    const to = join(root, path);
    await mkdir(dirname(to), { recursive: true, mode: 0o755 });
    if ('file' in content) await copyFile(content.file, to);
    else await writeFile(to, content);
    await chmod(to, mode);
    await utimes(to, epoch, epoch);
  }
}

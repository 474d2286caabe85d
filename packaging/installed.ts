/**
 * Tells the program that it runs from the single binary, and where its files are: in the main thread and in each other.
 *
 *   path(inside) -> whole in one of the folders for it? -> there
 *                   else unpack everything, in a process of its own -> there
 */
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { Packaged } from '#agent/core/program.ts';
import type { Content, ContentFile } from './content.ts';
import { contentFolder, isUsable } from './unpack.ts';
import { choices, thisUser } from '#agent/core/cache-folder.ts';
import { readAsset, readContent, unpackApart } from './unpacking.ts';

// Node keeps such warnings to itself for what lies in node_modules; in a bundle nothing does.
process.noDeprecation = true;

class Installed {
  readonly #content: Content = readContent();
  /** Checked in this thread. */
  readonly #whole = new Set<string>();
  #folder: string | undefined;
  readonly packaged: Packaged;

  constructor() {
    const { about } = this.#content;
    this.packaged = {
      about,
      path: (inside) => this.#path(inside),
      read: (inside) => zstdDecompressSync(readAsset(inside)),
    };
  }

  /** Where a file lies that was unpacked before; undefined when it is not there, or not whole. */
  found(file: string): string | undefined {
    const files = this.#filesOf(file);
    const folder = this.#folders().find((choice) => isUsable(choice, files, thisUser()));
    if (folder === undefined) return undefined;
    this.#remember(folder, files);
    return join(folder, file);
  }

  #path(inside: string): string {
    const files = this.#filesOf(inside).filter(({ path }) => !this.#whole.has(path));
    const isHere = this.#folders().find((folder) => isUsable(folder, files, thisUser()));
    const folder = isHere ?? unpackApart();
    this.#remember(folder, files);
    return join(folder, inside);
  }

  #folders(): readonly string[] {
    return this.#folder === undefined
      ? choices().map(({ folder }) => contentFolder(folder, this.#content))
      : [this.#folder];
  }

  #filesOf(inside: string): readonly ContentFile[] {
    const { files } = this.#content;
    if (inside === '.' || inside === '') return files;
    return files.filter(({ path }) => path === inside || path.startsWith(inside.replace(/\/?$/, '/')));
  }

  #remember(folder: string, files: readonly ContentFile[]): void {
    this.#folder = folder;
    for (const { path } of files) this.#whole.add(path);
  }
}

/** Once a thread in the program, and once in the loader: each throws errors of its own classes. */
export function install(): Installed {
  const installed = new Installed();
  globalThis.outpostPackaged = installed.packaged;
  return installed;
}

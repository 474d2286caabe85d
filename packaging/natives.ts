/**
 * The native addons of the binary: which of a package's files loads its addon, and what the addon needs beside it.
 *
 *   bundle:  the loader's text  --> opens natives/<addon> of the content
 *   content: files of the packages --> natives/<path>, folders kept so that the libraries find each other
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { nativesFolder } from './content.ts';
import { sqliteFile } from './sqlite.ts';
import type { Target } from './targets.ts';

/** Folder of a package for the machine that is built for; undefined when it is not there. */
export type FolderOf = (name: string) => string | undefined;

export interface NativeAddon {
  readonly package: string;
  /** In the package: its CommonJS entry, where the one for ES modules locates files by its own address. */
  readonly entry?: string;
  /** The file of the package that finds and opens the addon: its text is replaced. */
  readonly loader: RegExp;
  /** The loader's new text, given an expression that opens the addon, and the old text. */
  readonly load: (open: string, text: string) => string;
  /** Packages, a folder in each, and which of its files ship; the one ending in `.node` is the addon. */
  readonly files: (
    target: Target,
  ) => readonly { readonly package: string; readonly folder: string; readonly file: RegExp }[];
}

/** Names what packaging/sqlite.ts compiles, in place of the package's own prebuild. */
export const compiledSqlite = 'better-sqlite3/compiled';

export const nativeAddons: readonly NativeAddon[] = [
  {
    package: 'better-sqlite3',
    loader: /\/better-sqlite3\/lib\/binding\.js$/,
    load: (open) => `let addon; exports.getBinding = () => (addon ??= ${open});`,
    files: () => [{ package: compiledSqlite, folder: '', file: new RegExp(`^${sqliteFile}$`) }],
  },
  {
    package: 'onnxruntime-node',
    loader: /\/onnxruntime-node\/dist\/binding\.js$/,
    load: (open, text) => replaceOnce(text, /require\(`\.\.\/bin\/[^`]*`\)/, open),
    files: ({ arch }) => [
      { package: 'onnxruntime-node', folder: `bin/napi-v6/linux/${arch}`, file: /\.(node|so\.1)$/ },
    ],
  },
  {
    package: 'sharp',
    entry: 'dist/index.cjs',
    loader: /\/sharp\/dist\/sharp\.cjs$/,
    load: (open) => `module.exports = ${open};`,
    files: ({ arch }) => [
      { package: `@img/sharp-linux-${arch}`, folder: 'lib', file: /\.node$/ },
      { package: `@img/sharp-libvips-linux-${arch}`, folder: 'lib', file: /\.so[.\d]*$/ },
    ],
  },
  {
    package: '@serialport/bindings-cpp',
    loader: /\/@serialport\/bindings-cpp\/dist\/serialport-bindings\.js$/,
    load: (open) => `exports.binding = ${open};`,
    files: ({ arch }) => [
      { package: '@serialport/bindings-cpp', folder: `prebuilds/linux-${arch}`, file: /\.glibc\.node$/ },
    ],
  },
];

/** @throws OutpostError `package-failed` when the library has changed how it opens its addon */
function replaceOnce(text: string, part: RegExp, by: string): string {
  if (!part.test(text)) throw new OutpostError('package-failed', `No ${part.source} in the loader of a native addon.`);
  return text.replace(part, () => by);
}

export interface NativeFile {
  readonly package: string;
  readonly from: string;
  /** Below the content's folder. */
  readonly to: string;
}

/** @throws OutpostError `package-failed` when one is missing */
export function filesOf(addon: NativeAddon, target: Target, folderOf: FolderOf): readonly NativeFile[] {
  return addon.files(target).flatMap(({ package: name, folder, file }) => {
    const base = folderOf(name);
    const names = base === undefined ? [] : listFolder(join(base, folder)).filter((entry) => file.test(entry));
    if (base === undefined || names.length === 0) {
      throw new OutpostError('package-failed', `There is no file of ${name} for linux-${target.arch}.`);
    }
    return names.map((entry) => ({
      package: name,
      from: join(base, folder, entry),
      to: join(nativesFolder, name, folder, entry),
    }));
  });
}

function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path).toSorted();
  } catch {
    return [];
  }
}

/** @returns an expression of JavaScript that opens the addon from where the binary unpacked it */
export function openExpression(addon: NativeAddon, target: Target, folderOf: FolderOf): string {
  const files = filesOf(addon, target, folderOf).map(({ to }) => to);
  return `(() => {
    const addon = { exports: {} };
    const paths = ${JSON.stringify(files)}.map((file) => globalThis.outpostPackaged.path(file));
    process.dlopen(addon, paths.find((path) => path.endsWith('.node')));
    return addon.exports;
  })()`;
}

/**
 * The native addons of the binary: which of a package's files loads its addon, and what the addon needs beside it.
 *
 *   bundle:  the loader's text  --> opens <assetsDir>/natives/<addon>
 *   content: files of node_modules --> natives/<path>, folders kept so that the libraries find each other
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { nativesFolder } from './content.ts';
import type { Target } from './targets.ts';

export interface NativeAddon {
  readonly package: string;
  /** Below node_modules: its CommonJS entry, where the one for ES modules locates files by its own address. */
  readonly entry?: string;
  /** The file of the package that finds and opens the addon: its text is replaced. */
  readonly loader: RegExp;
  /** The loader's new text, given an expression that opens the addon, and the old text. */
  readonly load: (open: string, text: string) => string;
  /** Folders of node_modules, and which of their files ship; the one ending in `.node` is the addon. */
  readonly files: (target: Target) => readonly { readonly folder: string; readonly file: RegExp }[];
}

export const nativeAddons: readonly NativeAddon[] = [
  {
    package: 'better-sqlite3',
    loader: /\/better-sqlite3\/lib\/binding\.js$/,
    load: (open) => `let addon; exports.getBinding = () => (addon ??= ${open});`,
    // Needs glibc 2.34: later releases build it against an older one.
    files: ({ arch }) => [{ folder: 'better-sqlite3/prebuilds', file: new RegExp(`^linux-${arch}\\.node$`) }],
  },
  {
    package: 'onnxruntime-node',
    loader: /\/onnxruntime-node\/dist\/binding\.js$/,
    load: (open, text) => replaceOnce(text, /require\(`\.\.\/bin\/[^`]*`\)/, open),
    files: ({ arch }) => [{ folder: `onnxruntime-node/bin/napi-v6/linux/${arch}`, file: /\.(node|so\.1)$/ }],
  },
  {
    package: 'serialport',
    loader: /\/@serialport\/bindings-cpp\/dist\/serialport-bindings\.js$/,
    load: (open, text) => replaceOnce(text, /\(0, node_gyp_build_1\.default\)\(.*?'\.\.\/'\)\)/, open),
    files: ({ arch }) => [{ folder: `@serialport/bindings-cpp/prebuilds/linux-${arch}`, file: /\.glibc\.node$/ }],
  },
  {
    package: 'sharp',
    entry: 'sharp/dist/index.cjs',
    loader: /\/sharp\/dist\/sharp\.cjs$/,
    load: (open) => `module.exports = ${open};`,
    files: ({ arch }) => [
      { folder: `@img/sharp-linux-${arch}/lib`, file: /\.node$/ },
      { folder: `@img/sharp-libvips-linux-${arch}/lib`, file: /\.so[.\d]*$/ },
    ],
  },
];

/** @throws OutpostError `package-failed` when the library has changed how it opens its addon */
function replaceOnce(text: string, part: RegExp, by: string): string {
  if (!part.test(text)) throw new OutpostError('package-failed', `No ${part.source} in the loader of a native addon.`);
  return text.replace(part, () => by);
}

export interface NativeFile {
  readonly from: string;
  /** Below the content's folder. */
  readonly to: string;
}

/**
 * @param modules path of node_modules
 * @throws OutpostError `package-failed` when one is missing
 */
export function filesOf(addon: NativeAddon, target: Target, modules: string): readonly NativeFile[] {
  return addon.files(target).flatMap(({ folder, file }) => {
    const names = listFolder(join(modules, folder)).filter((name) => file.test(name));
    if (names.length === 0) {
      const hint = `Run \`npm ci\` on linux-${target.arch}, with optional dependencies.`;
      throw new OutpostError('package-failed', `Nothing in node_modules/${folder} for ${addon.package}.`, { hint });
    }
    return names.map((name) => ({ from: join(modules, folder, name), to: join(nativesFolder, folder, name) }));
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
export function openExpression(addon: NativeAddon, target: Target, modules: string): string {
  const path = filesOf(addon, target, modules).find(({ to }) => to.endsWith('.node'))?.to ?? '';
  return `(() => {
    const addon = { exports: {} };
    process.dlopen(addon, globalThis.outpostPackaged.assetsDir + ${JSON.stringify(`/${path}`)});
    return addon.exports;
  })()`;
}

/**
 * The whole program as one CommonJS file, in which every native addon is opened from where the binary unpacked it.
 *
 *   packaging/start.ts --esbuild, loaders replaced--> outpost.cjs, and the list of what went in
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, type Plugin, build } from 'esbuild';
import { type FolderOf, nativeAddons, openExpression } from './natives.ts';
import type { Target } from './targets.ts';

export interface Bundle {
  readonly text: Uint8Array;
  /** Every file of which something is in it, relative to the repository. */
  readonly inputs: readonly string[];
}

/** @param file of this folder that the bundle begins with; `more` serves tests that want to read the result */
export async function bundle(
  repository: string,
  file: string,
  target: Target,
  folderOf: FolderOf,
  more: BuildOptions = {},
): Promise<Bundle> {
  const result = await build({
    absWorkingDir: repository,
    entryPoints: [join('packaging', file)],
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    // The loader runs the text as a script of its own, in which `import()` has nobody to ask: each becomes a `require`.
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: 'none',
    // From source they locate files of the repository; the binary asks `packaged()` first.
    define: { 'import.meta.url': 'undefined', 'import.meta.dirname': 'undefined' },
    alias: Object.fromEntries(
      nativeAddons.flatMap(({ package: name, entry }) =>
        entry === undefined ? [] : [[name, join(repository, 'node_modules', name, entry)]],
      ),
    ),
    plugins: [nativeLoaders(target, folderOf)],
    logLevel: 'warning',
    write: false,
    metafile: true,
    ...more,
  });
  const [output] = Object.values(result.metafile?.outputs ?? {});
  const inputs = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return { text: result.outputFiles?.[0]?.contents ?? new Uint8Array(), inputs: inputs.map(([path]) => path) };
}

function nativeLoaders(target: Target, folderOf: FolderOf): Plugin {
  return {
    name: 'native-loaders',
    setup(building) {
      for (const addon of nativeAddons) {
        building.onLoad({ filter: addon.loader }, async ({ path }) => ({
          contents: addon.load(openExpression(addon, target, folderOf), await readFile(path, 'utf8')),
          loader: 'js',
        }));
      }
    },
  };
}

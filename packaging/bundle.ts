/**
 * The whole program as one CommonJS file, in which every native addon is opened from where the binary unpacked it.
 *
 *   packaging/start.ts --esbuild, loaders replaced--> outpost.cjs, and the list of what went in
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Plugin, build } from 'esbuild';
import { nativeAddons, openExpression } from './natives.ts';
import type { Target } from './targets.ts';

export interface Bundle {
  readonly text: Uint8Array;
  /** Every file that is in it, relative to the repository. */
  readonly inputs: readonly string[];
}

export async function bundle(repository: string, target: Target): Promise<Bundle> {
  const result = await build({
    absWorkingDir: repository,
    entryPoints: [join('packaging', 'start.ts')],
    bundle: true,
    write: false,
    metafile: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    keepNames: true,
    legalComments: 'none',
    // From source they locate files of the repository; the binary asks `packaged()` first.
    define: { 'import.meta.url': 'undefined', 'import.meta.dirname': 'undefined' },
    alias: Object.fromEntries(
      nativeAddons.flatMap(({ package: name, entry }) =>
        entry === undefined ? [] : [[name, join(repository, 'node_modules', entry)]],
      ),
    ),
    plugins: [nativeLoaders(join(repository, 'node_modules'), target)],
    logLevel: 'warning',
  });
  return { text: result.outputFiles[0]?.contents ?? new Uint8Array(), inputs: Object.keys(result.metafile.inputs) };
}

function nativeLoaders(modules: string, target: Target): Plugin {
  return {
    name: 'native-loaders',
    setup(building) {
      for (const addon of nativeAddons) {
        building.onLoad({ filter: addon.loader }, async ({ path }) => ({
          contents: addon.load(openExpression(addon, target, modules), await readFile(path, 'utf8')),
          loader: 'js',
        }));
      }
    },
  };
}

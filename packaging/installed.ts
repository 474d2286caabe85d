/**
 * Tells the program that it runs from the single binary: imported first, before any other file of it.
 *
 *   binary, main thread  -> Packaged, unpacked when somebody first asks for its folders: `--help` touches no disk
 *   worker thread        -> threads.ts sets what the main thread found
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { isMainThread } from 'node:worker_threads';
import { cacheChoices } from './cache-folder.ts';
import { type Content, bundleFile, contentAsset } from './content.ts';
import { unpack } from './unpack.ts';

// Node keeps such warnings to itself for what lies in node_modules; in a bundle nothing does.
process.noDeprecation = true;

const readAsset = (name: string): Uint8Array => new Uint8Array(getRawAsset(name));

function unpackHere(): string {
  const content = JSON.parse(getAsset(contentAsset, 'utf8')) as Content;
  const user = process.getuid?.() ?? 0;
  return unpack(content, readAsset, cacheChoices(process.env, tmpdir(), user), user);
}

if (isMainThread && isSea()) {
  let folder: string | undefined;
  // Own properties of a plain object: it is copied into the workerData of threads, which runs them.
  globalThis.outpostPackaged = {
    get assetsDir() {
      return (folder ??= unpackHere());
    },
    get bundlePath() {
      return join(this.assetsDir, bundleFile);
    },
  };
}

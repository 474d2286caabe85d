/**
 * What the executable runs first: finds the program, on disk where it was unpacked, else inside, and runs it.
 *
 *   __unpack                       -> writes the content to disk, and ends
 *   <content>/outpost.cjs is whole -> that file, with what the engine compiled of it at an earlier start
 *   else                           -> the same text out of the executable: `--help` on a new device touches no disk
 */
import { createRequire, enableCompileCache, flushCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { thisUser } from '#agent/core/cache-folder.ts';
import { bundleFile, unpackArgument } from './content.ts';
import { install } from './installed.ts';
import { unpackForParent } from './unpacking.ts';
import { removeUnused, stampUse } from './unused.ts';

/**
 * What was compiled by then is kept for the next start, and what other versions left is looked at: after the first
 * pictures, when nobody waits.
 */
const tidiedAfterMs = 20_000;

const installed = install();
if (process.argv[2] === unpackArgument) unpackForParent();
else runProgram(installed.found(bundleFile));

function runProgram(path: string | undefined): void {
  if (path === undefined) {
    runText(Buffer.from(installed.packaged.read(bundleFile)).toString('utf8'));
    return;
  }
  // Each command compiles other parts of the program: one that is short would leave little for one that runs for years.
  const command = /^[a-z_-]+$/.exec(process.argv[2] ?? '')?.[0] ?? 'none';
  const folder = join(dirname(path), 'compiled', command);
  enableCompileCache(folder);
  // Threads read it when they start.
  process.env['NODE_COMPILE_CACHE'] = folder;
  stampUse(dirname(path), Date.now());
  setTimeout(() => {
    flushCompileCache();
    removeUnused(dirname(path), thisUser(), Date.now());
  }, tidiedAfterMs).unref();
  createRequire(path)(path);
}

/** As Node runs a CommonJS file; the program asks for nothing but Node's own modules. */
function runText(text: string): void {
  const script = new Script(`(function (exports, require, module) {${text}\n})`, { filename: bundleFile });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(process.execPath), module);
}

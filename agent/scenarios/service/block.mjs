// Loaded into a real agent by NODE_OPTIONS: blocks its main thread or its writer thread for ever once a file is there.
import { existsSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const folder = process.env.OUTPOST_TEST_BLOCK;
const isVision = process.argv.includes('__vision');
const part = isVision ? undefined : isMainThread ? 'loop' : workerData?.entry === 'outbox' ? 'writer' : undefined;
if (folder && part) {
  setInterval(() => {
    if (existsSync(`${folder}/block-${part}`)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }, 20).unref();
}

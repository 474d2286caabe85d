// Loaded into a real agent by NODE_OPTIONS: blocks its main thread or its writer thread for ever once a file is there.
import { existsSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const folder = process.env.OUTPOST_TEST_BLOCK;
const isVision = process.argv.includes('__vision');
const part = isVision ? undefined : isMainThread ? 'loop' : workerData?.entry === 'outbox' ? 'writer' : undefined;
const wait = Atomics.wait;
const blockWhenAsked = () => {
  if (existsSync(`${folder}/block-${part}`)) wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
if (folder && part === 'loop') setInterval(blockWhenAsked, 20).unref();
// The writer has no timers: it sleeps on its bell.
if (folder && part === 'writer') {
  Atomics.wait = (bell, index, value) => {
    for (;;) {
      blockWhenAsked();
      const woken = wait(bell, index, value, 20);
      if (woken !== 'timed-out') return woken;
    }
  };
}

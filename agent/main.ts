#!/usr/bin/env node
/**
 * The front door: the command line, or one of the program's other entries (see core/program.ts).
 *
 *   main thread, no __entry -> commands
 *   main thread, __vision   -> the inference child
 *   worker thread           -> the thread named by workerData.entry
 */
import { isMainThread, workerData } from 'node:worker_threads';
import { entryArgument } from '#agent/core/program.ts';
import type { ThreadData } from '#agent/threads.ts';

async function main(): Promise<void> {
  // A thread's environment is a copy that native code never sees: here, in the process's own, or onnxruntime keeps a
  // telemetry database in the home folder.
  if (isMainThread) process.env['ORT_DISABLE_TELEMETRY'] = '1';
  if (!isMainThread) {
    const { runThread } = await import('#agent/threads.ts');
    await runThread(workerData as ThreadData);
  } else if (process.argv.includes(entryArgument('vision'))) {
    const { runInference } = await import('#agent/inference.ts');
    await runInference();
  } else {
    const { runCommandLine } = await import('#agent/cli/commands.ts');
    await runCommandLine(process.argv);
  }
}

// Not awaited: the bundle is CommonJS. What is thrown here ends the process or the thread as it would with await.
void main();

/**
 * How this program starts another entry of itself, as a process or as a thread: from source, or from the single binary.
 *
 *   outpost            -> main.ts, the command line
 *   outpost __vision   -> the inference child (a process)
 *   workerData.entry   -> a thread of either
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Which program this is, as the build wrote it down. */
export interface About {
  readonly version: string;
  /** Of the repository; ends in `+changes` when files differed from it. */
  readonly commit: string;
  /** When the commit was made: ISO 8601, UTC. */
  readonly committed: string;
  readonly arch: string;
  readonly node: string;
  /** 64 hexadecimal digits over all files beside the program. */
  readonly content: string;
  /** Native libraries and the default model, with the sha256 of each of their files. */
  readonly parts: readonly {
    readonly name: string;
    readonly version: string;
    readonly files: readonly { readonly path: string; readonly sha256: string }[];
  }[];
}

/** What the packaged program sets before anything else runs; absent when it runs from source. */
export interface Packaged {
  readonly about: About;
  /**
   * Where a file or folder of the program lies on this disk: unpacked and checked when it is first asked for.
   * @param inside its path in the repository, or in the natives; empty for all
   */
  readonly path: (inside: string) => string;
  /** A file out of the executable, which touches no disk. */
  readonly read: (inside: string) => Uint8Array;
}

/** The bundle among the program's files: what threads run. */
const bundleFile = 'outpost.cjs';

declare global {
  var outpostPackaged: Packaged | undefined;
}

export const packaged = (): Packaged | undefined => globalThis.outpostPackaged;

export type ProcessEntry = 'vision';
export type ThreadEntry = 'detection' | 'outbox' | 'salvage';

/**
 * How V8 is set, from source (package.json's scripts too) and in the binary. What lives long here are buffers outside its
 * heap, and each thread has a nursery of its own: 2 MB instead of 16 save 50 MB at the same speed. With 4 MB
 * the agent and its child take 10 MB more each. Few objects are collected by the thread that made them: helpers would
 * compete with the writer and the model for the processor.
 */
export const engineFlags = ['--max-semi-space-size=2', '--single-threaded-gc'] as const;

/** A file that belongs to the program, by its path in the repository: `assetPath('models', 'yolox-nano', 'manifest.json')`. */
export const assetPath = (...parts: readonly string[]): string =>
  packaged()?.path(join(...parts, '.')) ?? join(fileURLToPath(new URL('../../', import.meta.url)), ...parts);

/** The argument that names a process entry. */
export const entryArgument = (entry: ProcessEntry): string => `__${entry}`;

const mainPath = (): string => fileURLToPath(new URL('../main.ts', import.meta.url));

/** How to start this program again with other arguments: the executable, then what comes before them. */
export const programCommand = (): [string, ...string[]] => [
  process.execPath,
  ...(packaged() ? [] : [...engineFlags, mainPath()]),
];

export function spawnEntry(entry: ProcessEntry, options: SpawnOptions): ChildProcess {
  const [program, ...leading] = programCommand();
  // Before the child asks for it: of two that start at once on a new device, each would unpack everything.
  packaged()?.path(bundleFile);
  // One arena of the allocator instead of one a thread: what a thread frees serves the others too, 15 MB less.
  const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
  return spawn(program, [...leading, entryArgument(entry)], { ...options, env });
}

/** Starts main again in a thread, with `{entry, ...data}` as its workerData. */
export function startThread(entry: ThreadEntry, data: Record<string, unknown>, options: WorkerOptions = {}): Worker {
  const path = packaged()?.path(bundleFile) ?? mainPath();
  return new Worker(path, { ...options, workerData: { entry, ...data } });
}

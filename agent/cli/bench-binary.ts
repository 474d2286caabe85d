/**
 * The single binary, measured: its size, its starts against Node's own, and the memory of each of its processes.
 *
 *   node -e 0 ─┐
 *   cold, warm ┴─ the same round ─> ratios          smaps_rollup ─> private memory, idle and with one camera
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import type { Status } from '#agent/outpost.ts';
import type { ConfigInput } from '#config/load.ts';
import { sizeRows } from './bench-binary-size.ts';
import { type BenchRow, type BinaryBenchOptions, median } from './bench-row.ts';
import { demoScene } from './demo-config.ts';
import { existingVideo } from './running.ts';
import { note, print, printTable } from './output.ts';

const million = 1e6;
/** Caches, heaps and pools find their size. */
const settleMs = 20_000;

export async function benchBinary(options: BinaryBenchOptions): Promise<readonly BenchRow[]> {
  const folder = resolve(options.folder);
  const binary = join(folder, `outpost-linux-${process.arch}`);
  const rounds = Number(options.rounds);
  // Before the minutes that sizes take.
  const video = await existingVideo(resolve(options.video));
  const sizes = await sizeRows(folder);
  const starts = await measureStarts(binary, video, options, rounds);
  return [...sizes, ...starts, ...(await memoryRows(binary, video))];
}

const megabytes = (bytes: number): string => `${(bytes / million).toFixed(1)} MB`;

const row = (what: string, ours: string, value: number, limit: number, unit: string): BenchRow => ({
  what,
  ours,
  against: `${limit} ${unit}`,
  ratio: value / limit,
  goal: '<= 1',
  met: value <= limit,
});

/** A configuration at work: one camera, or none. */
const scene = (video: string | undefined, path: string): ConfigInput => ({
  ...(video === undefined ? { device: { id: 'bench' } } : demoScene(video, { loop: true })),
  storage: { path },
  log: { level: 'error' },
});

interface Started {
  readonly process: ChildProcess;
  readonly store: string;
  readonly startedAt: number;
}

/** Runs the agent in a store of its own until the callback is done with it. */
async function running<T>(
  binary: string,
  video: string | undefined,
  cache: string,
  use: (agent: Started) => Promise<T>,
): Promise<T> {
  const store = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  const file = join(store, 'outpost.yaml');
  await writeFile(file, JSON.stringify(scene(video, store)));
  const startedAt = systemClock.monoMs();
  const child = spawn(binary, ['run', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    // One arena of the allocator, as the systemd unit sets it.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: store, XDG_CACHE_HOME: cache, MALLOC_ARENA_MAX: '1' },
  });
  try {
    return await use({ process: child, store, startedAt });
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    await rm(store, { recursive: true, force: true });
  }
}

async function until(
  { process: child, store, startedAt }: Started,
  condition: (status: Status) => boolean,
): Promise<number> {
  while (child.exitCode === null) {
    const status = (await askStatus(socketPath(store)).catch(() => undefined)) as Status | undefined;
    if (status && condition(status)) return systemClock.monoMs() - startedAt;
    await systemClock.sleep(2);
  }
  throw new Error('The agent ended before it was ready.');
}

/** The moment from which it answers. */
const untilReady = async (agent: Started): Promise<number> => await until(agent, () => true);
const untilSeeing = async (agent: Started): Promise<number> =>
  await until(agent, ({ cameras }) => cameras.some(({ resultsPerSecond }) => resultsPerSecond > 0));

function timeOf(command: string, words: readonly string[], cache: string): number {
  const startedAt = systemClock.monoMs();
  const { status } = spawnSync(command, words, { stdio: 'ignore', env: { HOME: cache, XDG_CACHE_HOME: cache } });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')} ended with ${status}.`);
  return systemClock.monoMs() - startedAt;
}

async function measureStarts(
  binary: string,
  video: string,
  options: BinaryBenchOptions,
  rounds: number,
): Promise<readonly BenchRow[]> {
  const kept = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  const times = { node: [], cold: [], warm: [], version: [], seeing: [], peer: [] } as Record<string, number[]>;
  const add = (name: string, value: number): void => void times[name]?.push(value);
  try {
    // The first start unpacks; the second leaves what the engine compiled.
    await running(binary, undefined, kept, untilReady);
    await running(binary, undefined, kept, untilReady);
    await running(binary, video, kept, untilSeeing);
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round} of ${rounds}`);
      const empty = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
      add('node', timeOf(process.execPath, ['-e', '0'], kept));
      add('version', timeOf(binary, ['--version'], kept));
      if (options.peer) add('peer', timeOf(resolve(options.peer), ['--version'], kept));
      add('warm', await running(binary, undefined, kept, untilReady));
      add('cold', await running(binary, undefined, empty, untilReady));
      add('seeing', await running(binary, video, kept, untilSeeing));
      await rm(empty, { recursive: true, force: true });
    }
  } finally {
    await rm(kept, { recursive: true, force: true });
  }
  const of = (name: string): number => median(times[name] ?? []);
  const against = (what: string, name: string, limit: number): BenchRow => ({
    what: `${what}, to \`node -e 0\``,
    ours: `${of(name).toFixed(0)} ms`,
    against: `${of('node').toFixed(0)} ms`,
    ratio: of(name) / of('node'),
    goal: Number.isFinite(limit) ? `<= ${limit}` : '-',
    met: of(name) / of('node') <= limit,
  });
  return [
    against('cold start to READY', 'cold', Number.POSITIVE_INFINITY),
    against('warm start to READY', 'warm', 12),
    against('start to the first detection', 'seeing', Number.POSITIVE_INFINITY),
    against('`--version`', 'version', Number.POSITIVE_INFINITY),
    ...(options.peer ? [against(`\`--version\` of ${options.peer}`, 'peer', Number.POSITIVE_INFINITY)] : []),
  ];
}

interface Memory {
  readonly name: string;
  readonly rss: number;
  readonly pss: number;
  /** Of files, mapped by it alone, such as the executable: the kernel drops it when memory is short. */
  readonly privateClean: number;
  /** What nothing but its end gives back: held against the goals. */
  readonly privateDirty: number;
}

/** proc_pid_smaps(5) of a process, and of all that it started, agent first. */
function memoryOf(pid: number): readonly Memory[] {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const name = words.includes('__vision') ? 'inference child' : words[1] === 'run' ? 'main process' : (words[0] ?? '');
  const own = {
    name: name.replace(/.*\//, ''),
    rss: bytes('Rss'),
    pss: bytes('Pss'),
    privateClean: bytes('Private_Clean'),
    privateDirty: bytes('Private_Dirty'),
  };
  return [own, ...childrenOf(pid).flatMap((child) => memoryOf(child))];
}

/** Of all its threads: proc_pid_tid_children(5). */
const childrenOf = (pid: number): readonly number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );

/**
 * Dirty pages are what the machine has to have, and what the goal is about; clean ones are parts of files that nobody else
 * has mapped just now, and that it may drop at any time. They are shown beside it.
 */
function privateRows(what: string, all: readonly Memory[], limit: number): readonly BenchRow[] {
  const held = (kind: string, bytesOf: (one: Memory) => number): BenchRow => {
    const bytes = all.length === 0 ? Number.NaN : all.reduce((sum, one) => sum + bytesOf(one), 0);
    return row(`private memory, ${what}, ${kind}`, megabytes(bytes), bytes / million, limit, 'MB');
  };
  const withClean = held(
    'with clean pages of files (no goal)',
    ({ privateDirty, privateClean }) => privateDirty + privateClean,
  );
  return [held('dirty', ({ privateDirty }) => privateDirty), { ...withClean, goal: '-', met: true }];
}

async function memoryRows(binary: string, video: string): Promise<readonly BenchRow[]> {
  const cache = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  const measured: (readonly [string, readonly Memory[]])[] = [];
  const measure = async (
    what: string,
    source: string | undefined,
    ready: typeof untilReady,
  ): Promise<readonly Memory[]> =>
    await running(binary, source, cache, async (agent) => {
      await ready(agent);
      note(`memory, ${what}: ${settleMs / 1000} s`);
      await systemClock.sleep(settleMs);
      const found = memoryOf(agent.process.pid as number);
      measured.push([what, found]);
      return found;
    });
  try {
    await measure('idle, first start', undefined, untilReady);
    const idle = await measure('idle', undefined, untilReady);
    const seeing = await measure('one camera', video, untilSeeing);
    printTable([
      ['when', 'process', 'RSS', 'PSS', 'private clean', 'private dirty'],
      ...measured.flatMap(([what, all]) =>
        all.map((one) => [what, one.name, ...[one.rss, one.pss, one.privateClean, one.privateDirty].map(megabytes)]),
      ),
    ]);
    print();
    return [
      ...privateRows('main process, idle', idle.slice(0, 1), 90),
      ...privateRows('main process, one camera', seeing.slice(0, 1), 90),
      ...privateRows('all processes, one camera', seeing, 250),
    ];
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

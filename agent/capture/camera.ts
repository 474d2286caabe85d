/**
 * One camera: its source opened again and again, its frames in one slot, its pictures in a ring.
 *
 *   CameraConfig -> Source -> playVideo (ffmpeg) | stills (sharp) -> FrameQueue -> next()
 *                     ^--- backoff 1 s to 30 s, for ever ---'
 */
import type { CameraConfig } from '#config/schema.ts';
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import { redactIn } from '#agent/core/redact-url.ts';
import type { Frame, FrameFormat, PictureSize } from '#agent/domain/frame.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import type { PictureOptions } from './ffmpeg-arguments.ts';
import { FrameQueue } from './frame-queue.ts';
import { PictureRing, type StoredPicture } from './picture-ring.ts';
import type { Sink } from './sink.ts';
import { type Source, resolveSource } from './source.ts';
import { playVideo } from './video.ts';
import { fileInput, rtspInput } from './video-input.ts';

export interface CameraOptions {
  readonly camera: CameraConfig;
  /** What the model wants. */
  readonly format: FrameFormat;
  /** `newest`: one waits and the newest wins. `every`: nothing is dropped, and the source is read once, at its fastest. */
  readonly frames: 'newest' | 'every';
  /** Full-size pictures kept in memory, for evidence. */
  readonly pictures?: PictureOptions;
  readonly ffmpeg: Ffmpeg;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly onState: (change: CameraStateChange) => void;
}

export interface CameraStateChange {
  readonly camera: string;
  readonly state: 'opening' | 'open' | 'down' | 'ended';
  readonly code?: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
  readonly source?: PictureSize;
  /** Frames a second that the source declares. */
  readonly fps?: number;
}

export interface CameraStatistics {
  readonly decoded: number;
  readonly dropped: number;
  /** Times that the source was opened again after a failure. */
  readonly reopened: number;
  /** ffmpeg children that run now. */
  readonly pids: readonly number[];
  readonly source?: PictureSize;
  readonly fps?: number;
}

const backoffLimits = { minMs: 1_000, maxMs: 30_000 } as const;

export class Camera {
  readonly #options: CameraOptions;
  readonly #queue: FrameQueue;
  readonly #ring: PictureRing;
  readonly #sink: Sink;
  readonly #backoff: Backoff;
  readonly #pids = new Set<number>();
  readonly #skippedPictures = new Set<string>();
  #reopened = 0;
  #open = false;
  #source: PictureSize | undefined;
  #fps: number | undefined;

  constructor(options: CameraOptions) {
    const { camera, format, frames, pictures, ffmpeg, clock, random, log } = options;
    this.#options = options;
    this.#queue = new FrameQueue({ camera: camera.id, format, frames });
    this.#ring = new PictureRing(pictures?.keep ?? 0);
    this.#backoff = new Backoff(backoffLimits, random);
    this.#sink = {
      camera,
      format,
      frames,
      pictures,
      ffmpeg,
      clock,
      random,
      log,
      queue: this.#queue,
      ring: this.#ring,
      onFrame: (source, fps) => this.#frameCame(source, fps),
      onProcess: (pid, running) => void (running ? this.#pids.add(pid) : this.#pids.delete(pid)),
    };
  }

  get stats(): CameraStatistics {
    return {
      decoded: this.#queue.decoded,
      dropped: this.#queue.dropped,
      reopened: this.#reopened,
      pids: [...this.#pids],
      ...(this.#source ? { source: this.#source } : {}),
      ...(this.#fps === undefined ? {} : { fps: this.#fps }),
    };
  }

  /** One reader at a time. Undefined once ended; rejects with the signal's reason. */
  async next(signal: AbortSignal): Promise<Frame | undefined> {
    return await this.#queue.next(signal);
  }

  /** Resolves when a frame can be taken, or none will come. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#queue.ready(signal);
  }

  /** The kept picture nearest to that frame. It shows people as they are. */
  picture(frame: number): StoredPicture | undefined {
    return this.#ring.nearest(frame);
  }

  /**
   * Runs until aborted, or to the end of a source that is read once.
   * @throws OutpostError in `every` mode, where a failure cannot be mended by trying again
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#tell({ state: 'opening' });
    try {
      while (!signal.aborted) {
        const ended = await this.#play(signal);
        if (!ended) continue;
        this.#tell({ state: 'ended' });
        return;
      }
    } finally {
      this.#queue.end();
    }
  }

  /** @returns whether the source has ended for good */
  async #play(signal: AbortSignal): Promise<boolean> {
    const { camera, frames } = this.#options;
    try {
      const source = await resolveSource(camera);
      await this.#playSource(source, signal);
      return !signal.aborted && (frames === 'every' || !camera.loop);
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = this.#redacted(toOutpostError(thrown));
      if (frames === 'every') throw error;
      await this.#rest(error, signal);
      return false;
    }
  }

  async #playSource(source: Source, signal: AbortSignal): Promise<void> {
    const { camera, frames, ffmpeg } = this.#options;
    switch (source.kind) {
      case 'file': {
        const paced = frames === 'newest' && camera.pace === 'real-time';
        await playVideo({ input: fileInput(source.path, paced), redact: (text) => text }, this.#sink, signal);
        return;
      }
      case 'rtsp': {
        const input = rtspInput(ffmpeg, source.url, Math.max(camera.stallAfter, 15_000));
        const redact = (text: string): string => redactIn(text, source.url);
        const problem = await playVideo({ input, redact }, this.#sink, signal);
        if (!signal.aborted) throw problem ?? new OutpostError('source-ended', 'The camera ended its stream.');
        return;
      }
      case 'http': {
        const { playHttp } = await import('./http.ts');
        return await playHttp(source, this.#sink, signal);
      }
      case 'folder': {
        const { playFolder } = await import('./folder.ts');
        return await playFolder(source.path, this.#skippedPictures, this.#sink, signal);
      }
      case 'simulation': {
        const { playSimulation } = await import('./simulation.ts');
        return await playSimulation(source.url, this.#sink, signal);
      }
    }
  }

  /** Down: says so once for each reason, and waits. */
  async #rest(error: OutpostError, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#options;
    const waitMs = Math.round(this.#backoff.nextMs());
    this.#open = false;
    this.#reopened += 1;
    log.warn('The camera is down and is opened again.', { error, waitMs });
    this.#tell({ state: 'down', code: error.code, detail: error.message, hint: error.hint });
    await settled(clock.sleep(waitMs, signal));
  }

  #frameCame(source: PictureSize, fps: number | undefined): void {
    const resized = this.#source?.width !== source.width || this.#source.height !== source.height;
    if (this.#open && !resized) return;
    this.#source = source;
    this.#fps = fps;
    if (!this.#open) this.#options.log.info('The camera is open.', { source, fps });
    this.#open = true;
    this.#backoff.reset();
    this.#tell({ state: 'open', source, ...(fps === undefined ? {} : { fps }) });
  }

  #tell(change: Omit<CameraStateChange, 'camera'>): void {
    this.#options.onState({ camera: this.#options.camera.id, ...change });
  }

  /** A second net: no error leaves with the address's secrets, whatever it was made from. */
  #redacted(error: OutpostError): OutpostError {
    const { url } = this.#options.camera;
    const clean = redactIn(error.message, url);
    if (clean === error.message && error.cause === undefined) return error;
    return new OutpostError(error.code, clean, { hint: error.hint, context: error.context });
  }
}

/** Waits for it, whether it succeeds or not. */
const settled = async (work: Promise<unknown>): Promise<void> => {
  await Promise.allSettled([work]);
};

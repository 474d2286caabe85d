/**
 * One run of ffmpeg, from its start to its end.
 *
 *   ffmpeg --pipe:1--> FrameAssembler -> FrameQueue
 *          --pipe:3--> JpegSplitter -> PictureRing
 *          --pipe:4--> DamageGate (key frames) <-- complaints --.
 *          --stderr--> FfmpegReport (size of the source) -------'
 *   Watchdog: no frames -> SIGTERM, later SIGKILL
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { OutpostError, systemCode } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import { type VideoInput, ffmpegArguments, keyFrameBytes } from './ffmpeg-arguments.ts';
import { DamageGate } from './damage-gate.ts';
import { FfmpegReport } from './ffmpeg-report.ts';
import { FrameAssembler } from './frame-assembler.ts';
import { JpegSplitter } from './jpeg-splitter.ts';
import type { Sink } from './sink.ts';
import { Watchdog } from './watchdog.ts';

/** Time to say goodbye to the camera (RTSP TEARDOWN) before it is killed. */
const graceMs = 1_000;
const maxPictureBytes = 16 * 1024 * 1024;

export interface Video {
  readonly input: VideoInput;
  /** Writes ffmpeg's stdin until the source ends; absent: it opens the source itself. */
  readonly feed?: (stdin: Writable, signal: AbortSignal) => Promise<void>;
  /** Takes the secrets of the source's address out of what ffmpeg says. */
  readonly redact: (text: string) => string;
}

/**
 * Returns when the source ended after at least one frame, or the signal was aborted.
 * @returns what ffmpeg complained about last, if that says why it ended
 * @throws OutpostError `source-…`, `ffmpeg-missing`
 */
export async function playVideo(video: Video, sink: Sink, signal: AbortSignal): Promise<OutpostError | undefined> {
  const run = new Run(video, sink);
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  const watching = Promise.all([run.watchdog.watch(stop), video.feed?.(run.stdin, stop).then(() => run.stdin.end())]);
  try {
    const aborted = new Promise<void>((resolve) => {
      if (stop.aborted) resolve();
      stop.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([run.closed, aborted, watching.then(async () => await run.closed)]);
  } finally {
    ended.abort();
    await run.close();
    await watching.catch(() => undefined);
  }
  return signal.aborted ? undefined : run.judge();
}

class Run {
  readonly watchdog: Watchdog;
  /** Resolves when ffmpeg is gone and everything it wrote was read; rejects when it cannot be started. */
  readonly closed: Promise<void>;
  readonly #sink: Sink;
  readonly #child: ChildProcess;
  readonly #report: FfmpegReport;
  readonly #assembler: FrameAssembler;
  readonly #firstFrame: number;
  /** Live only: a replay sees every frame, always the same ones. */
  readonly #gate: DamageGate | undefined;
  readonly #held: { chunk: Buffer; stream: Readable }[] = [];
  #source: PictureSize | undefined;

  constructor(video: Video, sink: Sink) {
    const { ffmpeg, queue, clock, format, frames, camera, pictures } = sink;
    this.#sink = sink;
    this.#firstFrame = queue.decoded;
    this.watchdog = new Watchdog(clock, camera.stallAfter);
    this.#gate = frames === 'newest' ? new DamageGate(clock) : undefined;
    this.#report = new FfmpegReport(
      {
        onSource: (source) => this.#sourceIs(source),
        onDamage: (inKeyFrame) => this.#gate?.damage(inKeyFrame),
      },
      video.redact,
    );
    this.#assembler = new FrameAssembler({
      queue,
      frames,
      clock,
      frameBytes: 3 * format.width * format.height,
      isSound: () => this.#gate?.isOpen() ?? true,
      onFrame: () => this.#frameCame(),
    });
    const [command = ffmpeg.path, ...rest] = [
      ...ffmpeg.tether,
      ffmpeg.path,
      ...ffmpegArguments(ffmpeg, video.input, {
        format,
        pictures,
        maxFps: camera.maxFps,
        keyFrames: frames === 'newest',
      }),
    ];
    this.#child = spawn(command, rest, {
      stdio: [
        video.feed ? 'pipe' : 'ignore',
        'pipe',
        'pipe',
        pictures ? 'pipe' : 'ignore',
        this.#gate ? 'pipe' : 'ignore',
      ],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    });
    if (this.#child.pid) sink.onProcess(this.#child.pid, true);
    this.closed = this.#settled();
    this.closed.catch(() => undefined);
    this.#listen();
  }

  get stdin(): Writable {
    const { stdin } = this.#child;
    if (!stdin) throw new OutpostError('internal', 'This ffmpeg has no stdin.');
    return stdin;
  }

  /** Ends ffmpeg, first politely; afterwards it is gone. */
  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    this.#sink.queue.onceFree(undefined);
    for (const stream of this.#child.stdio) stream?.destroy();
    if (pid && exitCode === null && signalCode === null) {
      this.#child.kill('SIGTERM');
      const gone = new AbortController();
      const late = this.#sink.clock.sleep(graceMs, gone.signal).then(
        () => this.#child.kill('SIGKILL'),
        () => false,
      );
      await this.closed.catch(() => undefined);
      gone.abort();
      await late;
    } else await this.closed.catch(() => undefined);
    if (pid) this.#sink.onProcess(pid, false);
    this.#assembler.close();
  }

  /** Exit codes say nothing: frames and complaints do. */
  judge(): OutpostError | undefined {
    const frames = this.#sink.queue.decoded - this.#firstFrame;
    const { decodeErrors } = this.#report;
    if (decodeErrors > 0) {
      const incidents = this.#gate?.incidents;
      this.#sink.log.warn('Some of the video could not be decoded.', { errors: decodeErrors, frames, incidents });
    }
    const problem = this.#report.problem();
    if (frames > 0) return problem;
    const { lastComplaint } = this.#report;
    throw (
      problem ??
      new OutpostError('source-unreadable', 'No picture came out of it.', {
        context: lastComplaint ? { ffmpeg: lastComplaint } : {},
      })
    );
  }

  async #settled(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#child.once('error', (cause) => {
        const code = systemCode(cause);
        const missing = code === 'ENOENT' || code === 'EACCES';
        const { path } = this.#sink.ffmpeg;
        reject(
          new OutpostError(missing ? 'ffmpeg-missing' : 'ffmpeg-unusable', `${path} cannot be started.`, { cause }),
        );
      });
      this.#child.once('close', () => resolve());
    });
  }

  #listen(): void {
    const { stdin, stdout, stderr, stdio } = this.#child;
    // A pipe that breaks shows as the end of ffmpeg, and that is what is judged.
    for (const stream of stdio) stream?.on('error', () => undefined);
    stdin?.on('error', () => undefined);
    stderr?.on('data', (chunk: Buffer) => this.#report.push(chunk));
    if (stdout) stdout.on('data', (chunk: Buffer) => this.#take(chunk, stdout));
    const keyFrames = stdio[4] as Readable | null | undefined;
    keyFrames?.on('data', (chunk: Buffer) => this.#keyFrames(chunk.length));
    const pictures = stdio[3] as Readable | null | undefined;
    if (pictures && this.#sink.pictures) this.#collect(pictures, this.#sink.pictures.everyFrames);
  }

  #take(chunk: Buffer, stream: Readable): void {
    if (!this.#source) {
      // The size stands on stderr before the first byte is written, but the pipes may be read in any order.
      stream.pause();
      this.#held.push({ chunk, stream });
      return;
    }
    const taken = this.#assembler.push(chunk, this.#source);
    if (taken === chunk.length) return;
    stream.pause();
    this.watchdog.rest();
    this.#sink.queue.onceFree(() => {
      this.watchdog.feed();
      stream.resume();
      this.#take(chunk.subarray(taken), stream);
    });
  }

  #sourceIs(source: PictureSize): void {
    this.#source = source;
    for (const { chunk, stream } of this.#held.splice(0)) {
      stream.resume();
      this.#take(chunk, stream);
    }
  }

  #frameCame(): void {
    this.watchdog.feed();
    if (this.#source) this.#sink.onFrame(this.#source, this.#report.fps);
  }

  #keyFrames(bytes: number): void {
    for (let count = Math.ceil(bytes / keyFrameBytes); count > 0; count -= 1) this.#gate?.keyFrame();
  }

  #collect(stream: Readable, everyFrames: number): void {
    const splitter = new JpegSplitter(maxPictureBytes);
    let count = 0;
    stream.on('data', (chunk: Buffer) => {
      for (const { bytes, size } of splitter.push(chunk)) {
        const nth = count + splitter.overflows;
        this.#sink.ring.push({ frame: this.#firstFrame + nth * everyFrames, jpeg: bytes, size });
        count += 1;
      }
    });
  }
}

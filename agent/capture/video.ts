/**
 * One run of ffmpeg, from its start to its end.
 *
 *   ffmpeg --pipes--> Intake -> frames, pictures
 *   no frames (Watchdog), or aborted: SIGTERM, so that the camera hears a goodbye (RTSP TEARDOWN), later SIGKILL
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { OutpostError, systemCode } from '#agent/core/errors.ts';
import { type VideoInput, ffmpegArguments } from './ffmpeg-arguments.ts';
import { type FramePipe, openFramePipe } from './frame-pipe.ts';
import { Intake } from './intake.ts';
import type { Sink } from './sink.ts';

/** From SIGTERM to SIGKILL. */
const graceMs = 1_000;

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
  const intake = new Intake(sink, video.redact);
  try {
    const pipe = await openFramePipe(intake);
    const run = new Run(video, sink, intake, pipe);
    await run.untilEnd(video, signal);
  } finally {
    intake.close();
  }
  return signal.aborted ? undefined : intake.judge();
}

class Run {
  readonly #sink: Sink;
  readonly #intake: Intake;
  readonly #child: ChildProcess;
  readonly #pipe: FramePipe;
  /** Resolves when ffmpeg is gone and everything it wrote was read; rejects when it cannot be started. */
  readonly #closed: Promise<void>;

  constructor(video: Video, sink: Sink, intake: Intake, pipe: FramePipe) {
    this.#sink = sink;
    this.#intake = intake;
    this.#pipe = pipe;
    const read = once(pipe.near, 'close');
    this.#child = spawnFfmpeg(video, sink, pipe);
    // From here on only ffmpeg holds the far end: when it is gone, the near one closes.
    pipe.far.destroy();
    if (this.#child.pid) sink.onProcess(this.#child.pid, true);
    // A pipe that breaks shows as the end of ffmpeg, and that is what is judged.
    for (const stream of this.#child.stdio) stream?.on('error', () => undefined);
    intake.listen(this.#child, pipe.near);
    this.#closed = Promise.all([this.#exited(), read]).then(() => undefined);
    this.#closed.catch(() => undefined);
  }

  async untilEnd(video: Video, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    const watching = Promise.all([this.#intake.watchdog.watch(stop), this.#feed(video, stop)]);
    const aborted = new Promise<void>((resolve) => {
      if (stop.aborted) resolve();
      stop.addEventListener('abort', () => resolve(), { once: true });
    });
    try {
      await Promise.race([this.#closed, aborted, watching.then(async () => await this.#closed)]);
    } finally {
      over.abort();
      await this.#end();
      await watching.catch(() => undefined);
    }
  }

  async #feed({ feed }: Video, signal: AbortSignal): Promise<void> {
    const { stdin } = this.#child;
    if (!feed || !stdin) return;
    await feed(stdin, signal);
    stdin.end();
  }

  /** Ends ffmpeg, first politely; afterwards it is gone. */
  async #end(): Promise<void> {
    const { pid, exitCode, signalCode, stdio } = this.#child;
    this.#pipe.near.destroy();
    for (const stream of stdio) stream?.destroy();
    if (pid && exitCode === null && signalCode === null) {
      this.#child.kill('SIGTERM');
      const gone = new AbortController();
      const late = this.#sink.clock.sleep(graceMs, gone.signal).then(
        () => this.#child.kill('SIGKILL'),
        () => false,
      );
      await this.#closed.catch(() => undefined);
      gone.abort();
      await late;
    } else await this.#closed.catch(() => undefined);
    if (pid) this.#sink.onProcess(pid, false);
  }

  async #exited(): Promise<void> {
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
}

function spawnFfmpeg(video: Video, sink: Sink, pipe: FramePipe): ChildProcess {
  const { ffmpeg, format, pictures, camera } = sink;
  const output = { format, pictures, maxFps: camera.maxFps };
  const [command = ffmpeg.path, ...rest] = [
    ...ffmpeg.tether,
    ffmpeg.path,
    ...ffmpegArguments(ffmpeg, video.input, output),
  ];
  const pipeIf = (wanted: boolean): 'pipe' | 'ignore' => (wanted ? 'pipe' : 'ignore');
  return spawn(command, rest, {
    stdio: [pipeIf(video.feed !== undefined), pipe.far, 'pipe', pipeIf(pictures !== undefined)],
    // Nothing of ours: FFREPORT, for one, would write the camera's address to the disk.
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

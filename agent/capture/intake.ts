/**
 * Everything that comes out of one ffmpeg run.
 *
 *   stderr --> FfmpegReport --size, complaint, key frame--> DamageGate --at each mark--> facts of the next frame
 *   pipe:1 --> FrameAssembler <-------------------------------------------------------------'
 *                 '-> FrameQueue        reading stops until a frame's facts are known, and while nothing may be dropped
 *   pipe:3 --> JpegSplitter -> PictureRing
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { OutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import { DamageGate } from './damage-gate.ts';
import { FfmpegReport } from './ffmpeg-report.ts';
import { FrameAssembler, type FrameFacts } from './frame-assembler.ts';
import type { PipeReader } from './frame-pipe.ts';
import { JpegSplitter } from './jpeg-splitter.ts';
import type { Sink } from './sink.ts';
import { Watchdog } from './watchdog.ts';

const maxPictureBytes = 16 * 1024 * 1024;

export class Intake implements PipeReader {
  readonly watchdog: Watchdog;
  readonly #sink: Sink;
  readonly #report: FfmpegReport;
  readonly #assembler: FrameAssembler;
  readonly #firstFrame: number;
  /** Live only: a replay sees every frame, always the same ones. */
  readonly #gate: DamageGate | undefined;
  #frames: Socket | undefined;
  #source: PictureSize | undefined;
  /** Of frames that ffmpeg made and we have not read to their end: at most what fits into a pipe. */
  readonly #facts: FrameFacts[] = [];
  /** Reading has stopped until the facts of the frame are there. */
  #awaitsFacts = false;

  /** @param redact takes the secrets of the source's address out of what ffmpeg says */
  constructor(sink: Sink, redact: (text: string) => string) {
    const { queue, clock, format, frames, camera } = sink;
    this.#sink = sink;
    this.#firstFrame = queue.decoded;
    this.watchdog = new Watchdog(clock, camera.stallAfter);
    this.#gate = frames === 'newest' ? new DamageGate(clock) : undefined;
    this.#report = new FfmpegReport(
      {
        onSource: (source) => (this.#source = source),
        onDamage: (inKeyFrame) => this.#gate?.damage(inKeyFrame),
        onKeyFrame: () => this.#gate?.keyFrame(),
        onShown: () => this.#shown(),
      },
      redact,
    );
    this.#assembler = new FrameAssembler({
      queue,
      frames,
      clock,
      frameBytes: 3 * format.width * format.height,
      facts: () => this.#nextFacts(),
      onFrame: (source) => this.#frameCame(source),
    });
  }

  target(): Uint8Array {
    return this.#assembler.target();
  }

  accept(count: number, into: Uint8Array): boolean {
    if (this.#assembler.accept(count, into)) return true;
    this.#wait();
    return false;
  }

  /** @param frames the near end of ffmpeg's stdout */
  listen({ stderr, stdio }: ChildProcess, frames: Socket): void {
    this.#frames = frames;
    stderr?.on('data', (chunk: Buffer) => this.#report.push(chunk));
    const { pictures } = this.#sink;
    if (pictures) this.#collect(stdio[3] as Readable, pictures.everyFrames);
  }

  close(): void {
    this.#sink.queue.onceFree(undefined);
    this.#assembler.close();
  }

  /**
   * Exit codes say nothing: frames and complaints do.
   * @returns what ffmpeg complained about, if that says why it ended
   * @throws OutpostError when no frame came at all
   */
  judge(): OutpostError | undefined {
    const frames = this.#sink.queue.decoded - this.#firstFrame;
    const { decodeErrors, lastComplaint } = this.#report;
    if (decodeErrors > 0) {
      const incidents = this.#gate?.incidents;
      this.#sink.log.warn('Some of the video could not be decoded.', { errors: decodeErrors, frames, incidents });
    }
    const problem = this.#report.problem();
    if (frames > 0) return problem;
    const context = lastComplaint ? { ffmpeg: lastComplaint } : {};
    throw problem ?? new OutpostError('source-unreadable', 'No picture came out of it.', { context });
  }

  /** Reading has stopped: for the facts, which stand on stderr before the frame but may be read after it, or for a slot. */
  #wait(): void {
    if (this.#awaitsFacts) return;
    this.watchdog.rest();
    this.#sink.queue.onceFree(() => {
      this.watchdog.feed();
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#assembler.proceed()) this.#frames?.resume();
    else this.#wait();
  }

  #shown(): void {
    if (this.#source) this.#facts.push({ source: this.#source, sound: this.#gate?.isOpen() ?? true });
    if (!this.#awaitsFacts) return;
    this.#awaitsFacts = false;
    this.#goOn();
  }

  #nextFacts(): FrameFacts | undefined {
    const next = this.#facts.shift();
    this.#awaitsFacts = next === undefined;
    return next;
  }

  #frameCame(source: PictureSize): void {
    this.watchdog.feed();
    this.#sink.onFrame(source, this.#report.fps);
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

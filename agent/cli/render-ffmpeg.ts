/** The two ffmpeg children of a rendering: one gives raw frames, the other takes them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { rateLimit } from '#agent/capture/ffmpeg-arguments.ts';
import type { Ffmpeg } from '#agent/capture/ffmpeg.ts';
import { fileInput } from '#agent/capture/video-input.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';

const run = promisify(execFile);
const encoders = ['libx264', 'mpeg4'] as const;
export type Encoder = (typeof encoders)[number];

const words = (text: string): string[] => text.split(' ');

const encoderOptions: Readonly<Record<Encoder, readonly string[]>> = {
  libx264: words('-c:v libx264 -preset veryfast -crf 23'),
  mpeg4: words('-c:v mpeg4 -q:v 4'),
};

/** The best encoder that this ffmpeg has. @throws OutpostError render-encoder */
export async function chooseEncoder({ path }: Ffmpeg): Promise<Encoder> {
  const { stdout } = await run(path, ['-hide_banner', '-encoders'], { maxBuffer: 16 * 1024 * 1024 });
  const known = encoders.find((name) => new RegExp(`^ V\\S* ${name} `, 'm').test(stdout));
  if (known === undefined) throw new OutpostError('render-encoder', `${path} has none of ${encoders.join(', ')}.`);
  return known;
}

interface DecoderOptions {
  readonly ffmpeg: Ffmpeg;
  readonly path: string;
  readonly size: PictureSize;
  readonly maxFps: number | undefined;
}

export interface Decoder extends AsyncDisposable {
  /** rgb24 of `size`, every decoded frame once. @throws OutpostError source-unreadable when there is none */
  frames(): AsyncGenerator<Buffer>;
}

export function openDecoder({ ffmpeg, path, size, maxFps }: DecoderOptions): Decoder {
  const { options, target } = fileInput(path, false);
  const filters = [...rateLimit(maxFps), `scale=${size.width}:${size.height}:flags=bilinear`];
  const child = new FfmpegChild(ffmpeg, [
    ...words('-nostdin -hide_banner -nostats -loglevel error -threads 1'),
    ...options,
    '-i',
    target,
    ...words(`-map 0:v:0 -vf ${filters.join(',')}`),
    ...ffmpeg.passthrough,
    ...words('-pix_fmt rgb24 -f rawvideo pipe:1'),
  ]);
  return {
    async *frames() {
      let count = 0;
      for await (const frame of wholeFrames(child.stdout, size.width * size.height * 3)) {
        count += 1;
        yield frame;
      }
      if (count === 0) throw new OutpostError('source-unreadable', `${path} holds no picture: ${child.lastWords}`);
    },
    [Symbol.asyncDispose]: () => child.end(),
  };
}

/** Cuts a byte stream into frames; a last one that is cut short is left out. */
async function* wholeFrames(stream: Readable, frameBytes: number): AsyncGenerator<Buffer> {
  let frame = Buffer.allocUnsafe(frameBytes);
  let filled = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (let read = 0; read < chunk.length;) {
      const copied = chunk.copy(frame, filled, read);
      read += copied;
      filled += copied;
      if (filled < frameBytes) continue;
      yield frame;
      frame = Buffer.allocUnsafe(frameBytes);
      filled = 0;
    }
  }
}

interface EncoderOptions {
  readonly ffmpeg: Ffmpeg;
  readonly encoder: Encoder;
  readonly muxer: string;
  /** File that is written, and overwritten. */
  readonly part: string;
  readonly size: PictureSize;
  readonly fps: number;
}

export interface Encoding extends AsyncDisposable {
  /** Resolves when more may be written; the frame must not change afterwards. @throws OutpostError render-output */
  write(frame: Buffer): Promise<void>;
  /** Resolves when the file is whole. @throws OutpostError render-output */
  finish(): Promise<void>;
}

export function openEncoder({ ffmpeg, encoder, muxer, part, size, fps }: EncoderOptions): Encoding {
  const child = new FfmpegChild(ffmpeg, [
    ...words('-hide_banner -nostats -loglevel error -y -f rawvideo -pix_fmt rgb24'),
    ...words(`-s ${size.width}x${size.height} -r ${fps} -i pipe:0 -an`),
    // 4:2:0 has no odd sizes
    ...words('-vf pad=ceil(iw/2)*2:ceil(ih/2)*2 -pix_fmt yuv420p'),
    ...encoderOptions[encoder],
    ...words(muxer === 'mp4' ? '-movflags +faststart -f mp4' : `-f ${muxer}`),
    `file:${part}`,
  ]);
  const failed = (): OutpostError =>
    new OutpostError('render-output', `The video cannot be written: ${child.lastWords}`, { context: { part } });
  return {
    async write(frame) {
      if (!child.stdin.destroyed && child.stdin.write(frame)) return;
      if (!child.stdin.destroyed) await Promise.race([once(child.stdin, 'drain').catch(() => undefined), child.exited]);
      if (!child.stdin.destroyed && !child.hasExited) return;
      await child.exited;
      throw failed();
    },
    async finish() {
      child.stdin.end();
      if ((await child.exited) !== 0) throw failed();
    },
    [Symbol.asyncDispose]: () => child.end(),
  };
}

const keptWords = 2000;

/** One ffmpeg with its pipes; its last words are kept for errors. */
class FfmpegChild {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Its exit code; never rejects. */
  readonly exited: Promise<number | undefined>;
  hasExited = false;
  readonly #process: ChildProcess;
  #words = '';

  constructor({ path, tether }: Ffmpeg, options: readonly string[]) {
    const [command, ...before] = [...tether, path];
    const child = spawn(command ?? path, [...before, ...options], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#process = child;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    // a broken pipe shows as the exit, with its reason
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString()).slice(-keptWords);
    });
    this.exited = new Promise((exit) => {
      child.once('error', (error) => {
        this.#words += error.message;
        this.hasExited = true;
        exit(undefined);
      });
      child.once('close', (code) => {
        this.hasExited = true;
        exit(code ?? undefined);
      });
    });
  }

  get lastWords(): string {
    return this.#words.trim().split('\n').at(-1) || 'ffmpeg ended without a word.';
  }

  async end(): Promise<void> {
    if (!this.hasExited) this.#process.kill('SIGKILL');
    this.stdout.destroy();
    await this.exited;
  }
}

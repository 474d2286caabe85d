/** What this room's tests stand on: both ffmpegs, a camera with its states, servers that misbehave on demand. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { type Log, silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import type { FrameFormat } from '#agent/domain/frame.ts';
import { configSchema } from '#config/schema.ts';
import { eventually } from '#agent/testing/eventually.ts';
import type { Requirement } from '#agent/testing/require.ts';
import { testPeer } from '#agent/testing/testdata.ts';
import { Camera, type CameraOptions, type CameraStateChange } from './camera.ts';
import { type Ffmpeg, developmentFfmpeg, findFfmpeg } from './ffmpeg.ts';

export const yolox: FrameFormat = {
  width: 416,
  height: 416,
  pixels: 'bgr-planar',
  fit: 'letterbox-top-left',
  padding: 114,
};

export interface KnownFfmpeg {
  readonly name: string;
  readonly ffmpeg: Ffmpeg;
}

/** The machine's own and the oldest that is supported. */
export async function knownFfmpegs(): Promise<KnownFfmpeg[]> {
  const own = await findFfmpeg();
  const old = await developmentFfmpeg();
  const found = [own, ...(old && old !== own.path ? [await findFfmpeg({ explicitPath: old })] : [])];
  return found.map((ffmpeg) => ({ name: ffmpeg.version, ffmpeg }));
}

type Url = Partial<Record<string, unknown>> & { readonly url: string };
export type RigOptions = Partial<Omit<CameraOptions, 'camera'>> & { readonly ffmpeg: Ffmpeg };

/** A running camera; disposing it stops it and waits for its end. */
export class Rig implements AsyncDisposable {
  readonly camera: Camera;
  readonly states: CameraStateChange[] = [];
  readonly stopping = new AbortController();
  /** Settles with what `run` threw, or undefined. */
  readonly ended: Promise<unknown>;

  constructor(settings: Url, options: RigOptions) {
    const [camera] = configSchema.parse({ cameras: [{ id: 'test', ...settings }] }).cameras;
    if (!camera) throw new Error('no camera');
    this.camera = new Camera({
      camera,
      format: yolox,
      frames: 'newest',
      clock: systemClock,
      random: seededRandom(1),
      log: silentLog,
      onState: (state) => this.states.push(state),
      ...options,
    });
    this.ended = this.camera.run(this.stopping.signal).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  }

  /** Reads and gives back `count` frames, or all there are. */
  async read(count = Number.POSITIVE_INFINITY): Promise<number> {
    let read = 0;
    while (read < count) {
      using frame = await this.camera.next(this.stopping.signal);
      if (!frame) break;
      read += 1;
    }
    return read;
  }

  async state(state: CameraStateChange['state'], nth = 1): Promise<CameraStateChange> {
    return await eventually(
      () => this.states.filter((change) => change.state === state)[nth - 1],
      `state ${state}, saw ${JSON.stringify(this.states)}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort();
    await this.ended;
  }
}

/** Remembers every line, to look for secrets in it. */
export function recordingLog(lines: string[]): Log {
  const write = (sentence: string, fields?: unknown): void => {
    lines.push(
      sentence +
        JSON.stringify(fields, (_key, value: unknown) =>
          value instanceof Error ? [value.message, value.stack, Object.entries(value)] : value,
        ),
    );
  };
  const log: Log = { debug: write, info: write, warn: write, error: write, with: () => log };
  return log;
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'outpost-capture-'));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const python = '/usr/bin/python3';
const introspection = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";

export const needsRtspServer: Requirement = () => {
  if (!existsSync(testPeer('rtsp-server.py'))) return `peer ${testPeer('rtsp-server.py')}`;
  return spawnSync(python, ['-c', introspection]).status === 0
    ? undefined
    : 'gir1.2-gst-rtsp-server-1.0 and python3-gi';
};

/** GStreamer's own RTSP server. */
export class RtspServer implements AsyncDisposable {
  readonly url: string;
  readonly #process: ChildProcess;

  constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  static async start(codec: 'h264' | 'h265' | 'mjpeg', port?: number): Promise<RtspServer> {
    const at = port ?? (await freePort());
    const child = spawn(python, [testPeer('rtsp-server.py'), String(at), codec], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the RTSP server ended before it was ready')));
      child.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('ready')) resolve();
      });
    });
    return new RtspServer(`rtsp://127.0.0.1:${at}/cam`, child);
  }

  /** No more frames, the connection stays open; again: frames flow. */
  toggleFreeze(): void {
    this.#process.kill('SIGUSR1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

/** Makes footage with the machine's own ffmpeg. */
export function makeVideo(ffmpeg: Ffmpeg, path: string, ...options: string[]): void {
  const made = spawnSync(ffmpeg.path, ['-v', 'error', '-nostdin', '-y', ...options, path], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
}

export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

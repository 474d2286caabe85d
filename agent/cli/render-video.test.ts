import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Ffmpeg, developmentFfmpeg, findFfmpeg } from '#agent/capture/ffmpeg.ts';
import { openStreet } from '#agent/capture/street/street.ts';
import type { Box } from '#agent/domain/box.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { type RenderRequest, type RenderedFrame, hiddenIn, renderVideo } from './render-video.ts';

let folder: string;
let ffmpeg: Ffmpeg;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-render-'));
  ffmpeg = await findFfmpeg();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const size = { width: 960, height: 540 };
const nobody: RenderedFrame = { tracks: [], people: [], incidents: [] };
const seeing = (...people: Box[]): RenderedFrame => ({ ...nobody, people });
const many = (count: number, frame: RenderedFrame | undefined = nobody): (RenderedFrame | undefined)[] =>
  Array(count).fill(frame);

const request = (changes: Partial<RenderRequest> = {}): RenderRequest => ({
  camera: { url: 'sim://street?seed=2', kind: 'auto' },
  out: join(folder, 'out.mp4'),
  size,
  fps: 10,
  frames: many(5),
  zones: [],
  lines: [],
  ffmpeg,
  ...changes,
});

/** The rendered video's frames, rgb24. */
function framesOf(path: string, { width, height } = size): Buffer[] {
  const args = ['-v', 'error', '-i', path, ...ffmpeg.passthrough, '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1'];
  const bytes = execFileSync(ffmpeg.path, args, { maxBuffer: 2 ** 30 });
  const frameBytes = width * height * 3;
  return Array.from({ length: bytes.length / frameBytes }, (_frame, n) =>
    bytes.subarray(n * frameBytes, (n + 1) * frameBytes),
  );
}

/** Mean difference of two pictures, 0..255, inside a box. */
function difference(a: Buffer, b: Buffer, box: Box, { width, height } = size): number {
  let sum = 0;
  let count = 0;
  for (let y = Math.ceil(box[1] * height); y < box[3] * height; y++) {
    for (let at = (y * width + Math.ceil(box[0] * width)) * 3; at < (y * width + box[2] * width) * 3; at++) {
      sum += Math.abs((a[at] ?? 0) - (b[at] ?? 0));
      count += 1;
    }
  }
  return sum / count;
}

const everywhere: Box = [0, 0, 1, 1];
/** Over a window of the house: hiding it changes much. */
const window: Box = [0.4, 0.05, 0.5, 0.8];
const windowHead: Box = [0.4, 0.05, 0.5, 0.28];
const road: Box = [0.4, 0.65, 0.5, 0.8];

describe('hiddenIn', () => {
  test('takes the people of three frames before and after too, so that a missed frame shows no face', () => {
    const frames = many(9);
    frames[1] = seeing(window);
    expect([0, 1, 2, 3, 4, 5].map((n) => hiddenIn(frames, n).length)).toEqual([1, 1, 1, 1, 1, 0]);
  });

  test('takes tracked people, coasting ones too, and no cars', () => {
    const track = { id: 1, score: 1, velocity: [0, 0], firstSeenMs: 0, lastSeenMs: 0, stationary: false } as const;
    const frame: RenderedFrame = {
      ...nobody,
      tracks: [
        { ...track, label: 'person', box: window, coasting: true },
        { ...track, label: 'car', box: road, coasting: false },
      ],
    };
    expect(hiddenIn([frame], 0)).toEqual([window]);
  });

  test('is everything where the replay knew nothing', () => {
    expect(hiddenIn([undefined], 0)).toBe('everything');
    expect(hiddenIn([], 0)).toBe('everything');
  });
});

async function ffmpegs(): Promise<[string, Ffmpeg][]> {
  const development = await developmentFfmpeg();
  const paths = [undefined, development].filter((path, index) => index === 0 || path !== undefined);
  return await Promise.all(
    paths.map(async (path): Promise<[string, Ffmpeg]> => {
      const found = await findFfmpeg({ explicitPath: path });
      return [found.version, found];
    }),
  );
}

describe.each(await ffmpegs())('renderVideo with ffmpeg %s', (_version, one) => {
  test('writes each frame of the source once, people hidden and the rest as it was', async () => {
    const frames = many(6, seeing(window));
    const progress: number[] = [];
    expect(await renderVideo(request({ ffmpeg: one, frames, progress: (done) => progress.push(done) }))).toBe(6);
    expect(progress).toEqual([1, 2, 3, 4, 5, 6]);
    const street = openStreet('sim://street?seed=2');
    const rendered = framesOf(join(folder, 'out.mp4'));
    expect(rendered).toHaveLength(6);
    for (const [n, frame] of rendered.entries()) {
      const original = await street.frame(n);
      expect(difference(frame, original, windowHead)).toBeGreaterThan(14);
      expect(difference(frame, original, road)).toBeLessThan(8);
    }
    expect(readdirSync(folder)).toEqual(['out.mp4']);
  });

  test('hides the whole of a frame of which nothing is known', async () => {
    const frames = many(6);
    frames[3] = undefined;
    await renderVideo(request({ ffmpeg: one, frames }));
    const [before, , , hidden] = framesOf(join(folder, 'out.mp4'));
    expect(difference(hidden ?? Buffer.of(), before ?? Buffer.of(), everywhere)).toBeGreaterThan(12);
  });

  test('ends where the source ends, and where the replay ended', async () => {
    const camera = { url: 'sim://street?seed=2&seconds=1', kind: 'auto' } as const;
    expect(await renderVideo(request({ ffmpeg: one, camera, frames: many(50) }))).toBe(10);
    expect(await renderVideo(request({ ffmpeg: one, camera, frames: many(4) }))).toBe(4);
  });

  test('takes odd sizes, and mkv', async () => {
    const source = join(folder, 'odd.mkv');
    await makeVideo(one, source, '161x91');
    const out = join(folder, 'out.mkv');
    const camera = { url: source, kind: 'auto' } as const;
    expect(
      await renderVideo(request({ ffmpeg: one, camera, out, size: { width: 161, height: 91 }, frames: many(30) })),
    ).toBe(20);
    expect(framesOf(out, { width: 162, height: 92 })).toHaveLength(20);
  });
});

async function makeVideo({ path }: Ffmpeg, file: string, resolution: string): Promise<void> {
  const source = `testsrc2=size=${resolution}:rate=10:duration=2`;
  await Promise.resolve(execFileSync(path, ['-v', 'error', '-f', 'lavfi', '-i', source, '-c:v', 'ffv1', file]));
}

/** Stands in for an ffmpeg, in a shell script. */
function standIn(script: string): Ffmpeg {
  const path = join(folder, 'ffmpeg');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { ...ffmpeg, path, tether: [] };
}

const picture = (shade: number): Promise<Buffer> =>
  sharp({ create: { width: 64, height: 48, channels: 3, background: { r: shade, g: shade, b: shade } } })
    .jpeg()
    .toBuffer();

describe('renderVideo', () => {
  test('leaves out of a file what the replay left out above its rate', async () => {
    const source = join(folder, 'source.mkv');
    await makeVideo(ffmpeg, source, '160x90');
    const camera = { url: source, kind: 'auto', maxFps: 5 } as const;
    expect(await renderVideo(request({ camera, size: { width: 160, height: 90 }, frames: many(30) }))).toBe(10);
  });

  test('leaves out of a folder what the replay could not read', async () => {
    writeFileSync(join(folder, '1.jpg'), await picture(40));
    writeFileSync(join(folder, '2.jpg'), 'broken');
    writeFileSync(join(folder, '10.jpg'), await picture(200));
    const small = { width: 64, height: 48 };
    const camera = { url: folder, kind: 'auto' } as const;
    expect(await renderVideo(request({ camera, size: small, frames: many(9) }))).toBe(2);
    const [first, second] = framesOf(join(folder, 'out.mp4'), small);
    expect([first?.[0], second?.[0]].map((value) => Math.round((value ?? 0) / 40))).toEqual([1, 5]);
  });

  test.each([
    ['a name without a container we write', { out: '/tmp/out.gif' }, 'render-output'],
    ['a folder that is not there', { out: '/nowhere/at/all/out.mp4' }, 'render-output'],
    ['a video that is not there', { camera: { url: '/nowhere/video.avi', kind: 'auto' } }, 'source-missing'],
    ['a live camera', { camera: { url: 'rtsp://127.0.0.1:1/', kind: 'auto' } }, 'source-unsupported'],
  ] as const)('refuses %s', async (_what, changes, code) => {
    await expect(renderVideo(request(changes))).rejects.toMatchObject({ code });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('refuses what is no video, and leaves nothing behind', async () => {
    const source = join(folder, 'source.avi');
    writeFileSync(source, 'no video');
    await expect(renderVideo(request({ camera: { url: source, kind: 'auto' } }))).rejects.toMatchObject({
      code: 'source-unreadable',
    });
    expect(readdirSync(folder)).toEqual(['source.avi']);
  });

  test('leaves an older video alone when it fails or is stopped', async () => {
    writeFileSync(join(folder, 'out.mp4'), 'older');
    const stop = new AbortController();
    const rendering = renderVideo(request({ frames: many(200), signal: stop.signal, progress: () => stop.abort() }));
    await expect(rendering).rejects.toMatchObject({ name: 'AbortError' });
    expect(readdirSync(folder)).toEqual(['out.mp4']);
    expect(readFileSync(join(folder, 'out.mp4'), 'utf8')).toBe('older');
  });

  test('says so when this ffmpeg has no encoder', async () => {
    const without = standIn('echo " V..... gif GIF"');
    await expect(renderVideo(request({ ffmpeg: without }))).rejects.toMatchObject({
      code: 'render-encoder',
      kind: 'peer',
    });
  });

  test('says what the encoder said when it ends early, as on a full disk', async () => {
    const full = standIn(
      'case "$*" in *-encoders*) echo " V..... mpeg4 MPEG-4";; *) head -c 1000 >/dev/null; echo "av_interleaved_write_frame(): No space left on device" >&2; exit 1;; esac',
    );
    const rendering = renderVideo(request({ ffmpeg: full, frames: many(50) }));
    await expect(rendering).rejects.toMatchObject({
      code: 'render-output',
      message: expect.stringContaining('No space left on device'),
    });
    expect(existsSync(join(folder, '.out.mp4.part'))).toBe(false);
  });
});

describeWith('renderVideo of footage', [needsData('video', 'vtest.avi')], () => {
  test('frame n of the rendering is frame n of the source', async () => {
    const path = testData('video', 'vtest.avi');
    const footage = { width: 768, height: 576 };
    await renderVideo(request({ camera: { url: path, kind: 'auto' }, size: footage, frames: many(30) }));
    const rendered = framesOf(join(folder, 'out.mp4'), footage);
    const args = ['-v', 'error', '-i', path, '-frames:v', '30', '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1'];
    const bytes = execFileSync(ffmpeg.path, args, { maxBuffer: 2 ** 30 });
    const original = (n: number): Buffer => bytes.subarray(n * 768 * 576 * 3, (n + 1) * 768 * 576 * 3);
    expect(rendered).toHaveLength(30);
    for (const n of [0, 9, 29]) {
      const frame = rendered[n] ?? Buffer.of();
      const others = [n - 5, n + 5].filter((other) => other >= 0 && other < 30);
      for (const other of others) {
        expect(difference(frame, original(n), everywhere, footage)).toBeLessThan(
          difference(frame, original(other), everywhere, footage),
        );
      }
    }
  });
});

/** Files, folders and the street, with both ffmpegs; and what is wrong with them. */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, describe, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { listPictures } from './folder.ts';
import {
  Rig,
  type RigOptions,
  isRunning,
  knownFfmpegs,
  makeVideo,
  recordingLog,
  temporaryFolder,
  yolox,
} from './test-rig.ts';

const ffmpegs = await knownFfmpegs();
const [own] = ffmpegs;
if (!own) throw new Error('no ffmpeg');
const { ffmpeg } = own;

const videos = await temporaryFolder();
const testVideo = join(videos.path, 'camera.avi');
makeVideo(ffmpeg, testVideo, '-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25:d=30', '-c:v', 'mjpeg', '-q:v', '9');
afterAll(async () => await videos[Symbol.asyncDispose]());

const testPicture = async (width: number, height: number, colour = '#808080') =>
  await sharp({ create: { width, height, channels: 3, background: colour } })
    .jpeg()
    .toBuffer();

describeWith('real footage', [needsData('video', 'vtest.avi')], () => {
  describe.each(ffmpegs)('with ffmpeg $name', ({ ffmpeg: one }) => {
    it('is read once, whole and without a drop, when every frame counts', async () => {
      const url = testData('video', 'vtest.avi');
      await using rig = new Rig({ url }, { ffmpeg: one, frames: 'every' });
      expect(await rig.read()).toBe(795);
      expect(await rig.ended).toBeUndefined();
      expect(rig.states.map(({ state }) => state)).toEqual(['opening', 'open', 'ended']);
      expect(rig.states[1]).toMatchObject({ source: { width: 768, height: 576 }, fps: 10 });
      expect(rig.camera.stats).toMatchObject({ decoded: 795, dropped: 0, reopened: 0, pids: [] });
    });

    it('gives the same bytes twice, however slowly it is read', async () => {
      const url = testData('video', 'vtest.avi');
      const sums: string[] = [];
      for (const slow of [false, true]) {
        const { createHash } = await import('node:crypto');
        const hash = createHash('sha256');
        await using rig = new Rig({ url, stallAfter: '100ms' }, { ffmpeg: one, frames: 'every' });
        for (let count = 0; count < 60; count += 1) {
          using frame = await rig.camera.next(rig.stopping.signal);
          if (!frame) break;
          hash.update(frame.bytes).update(String(frame.number));
          // longer than the stall limit: the reader is slow, not the camera
          if (slow && count === 20)
            await eventually(() => rig.camera.stats.decoded >= 26, 'a full queue').then(async () => await pause(300));
        }
        sums.push(hash.digest('hex'));
      }
      expect(sums[0]).toBe(sums[1]);
    });

    it('keeps every n-th picture: the one of exactly that frame', async () => {
      const url = testData('video', 'vtest.avi');
      const pictures = { everyFrames: 7, maxWidth: 400, keep: 5 };
      await using rig = new Rig({ url }, { ffmpeg: one, frames: 'every', pictures });
      const planes = new Map<number, Uint8Array>();
      for (let count = 0; count < 100; count += 1) {
        using frame = await rig.camera.next(rig.stopping.signal);
        if (frame) planes.set(frame.number, frame.bytes.slice());
      }
      const kept = await eventually(() => rig.camera.picture(91), 'a picture');
      expect(kept.frame % 7).toBe(0);
      expect(kept.size).toEqual({ width: 400, height: 300 });
      const grey = await sharp(kept.jpeg).resize(416, 312, { fit: 'fill' }).removeAlpha().raw().toBuffer();
      const distance = (plane: Uint8Array): number => {
        let sum = 0;
        for (let at = 0; at < 416 * 312; at += 1) sum += Math.abs((grey[at * 3 + 2] ?? 0) - (plane[at] ?? 0));
        return sum;
      };
      const nearest = [...planes]
        .map(([number, plane]) => ({ number, far: distance(plane) }))
        .sort((a, b) => a.far - b.far)[0];
      expect(nearest?.number).toBe(kept.frame);
    });
  });

  it('lets the newest frame win and counts the rest', async () => {
    const url = testData('video', 'vtest.avi');
    await using rig = new Rig({ url, pace: 'fast', loop: false }, { ffmpeg, frames: 'newest' });
    using first = await rig.camera.next(rig.stopping.signal);
    expect(first?.number).toBe(0);
    await rig.state('ended');
    using last = await rig.camera.next(rig.stopping.signal);
    expect(last?.number).toBe(794);
    expect(await rig.camera.next(rig.stopping.signal)).toBeUndefined();
    expect(rig.camera.stats).toMatchObject({ decoded: 795, dropped: 793 });
  });

  it('leaves out what is above the rate limit', async () => {
    await using rig = new Rig({ url: testData('video', 'vtest.avi'), maxFps: 2 }, { ffmpeg, frames: 'every' });
    expect(await rig.read()).toBe(159);
  });

  it('starts a file again at its end, numbers going on', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'short.avi');
    makeVideo(ffmpeg, path, '-f', 'lavfi', '-i', 'testsrc2=s=64x48:r=10:d=0.5', '-c:v', 'mjpeg');
    await using rig = new Rig({ url: path, pace: 'fast' }, { ffmpeg });
    await eventually(() => rig.camera.stats.decoded >= 15, 'three rounds');
    expect(rig.states.map(({ state }) => state)).toEqual(['opening', 'open']);
    expect(rig.camera.stats.reopened).toBe(0);
  });

  it('follows a size that changes in the middle', async () => {
    await using folder = await temporaryFolder();
    const parts = ['320x240', '240x320'].map((size) => ({ size, path: join(folder.path, `${size}.ts`) }));
    for (const { size, path } of parts) {
      makeVideo(
        ffmpeg,
        path,
        '-f',
        'lavfi',
        '-i',
        `color=c=white:s=${size}:r=10:d=3`,
        '-c:v',
        'libx264',
        '-g',
        '10',
        '-bf',
        '0',
      );
    }
    const both = join(folder.path, 'both.ts');
    await writeFile(both, Buffer.concat(await Promise.all(parts.map(async ({ path }) => await readFile(path)))));
    for (const { ffmpeg: one } of ffmpegs) {
      await using rig = new Rig({ url: both }, { ffmpeg: one, frames: 'every' });
      const seen: string[] = [];
      let mismatched = 0;
      for (;;) {
        using frame = await rig.camera.next(rig.stopping.signal);
        if (!frame) break;
        const { width, height } = frame.source;
        seen.push(`${width}x${height}`);
        // 320x240 fills 416 x 312, 240x320 fills 312 x 416: the picture is white, its padding is not
        const rightIsWhite = (frame.bytes[10 * 416 + 400] ?? 0) > 200;
        if (rightIsWhite !== width > height) mismatched += 1;
      }
      expect([...new Set(seen)]).toEqual(['320x240', '240x320']);
      expect(mismatched).toBe(0);
      expect(seen.length).toBeGreaterThanOrEqual(50);
    }
  });
});

const pause = async (ms: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ms));
};

const thumbnail = { width: 104, height: 78 };

/** Every fourth pixel of one plane: 320 x 240 lies in 416 x 312. */
function shrink(bytes: Uint8Array): Uint8Array {
  const { width, height } = thumbnail;
  return Uint8Array.from({ length: width * height }, (_value, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return bytes[4 * y * yolox.width + 4 * x] ?? 0;
  });
}

/** Every frame that a reader gets to see. */
async function watch(settings: { readonly url: string }, options: RigOptions): Promise<Uint8Array[]> {
  await using rig = new Rig({ ...settings, loop: false, pace: 'fast' }, options);
  const seen: Uint8Array[] = [];
  for (;;) {
    using frame = await rig.camera.next(rig.stopping.signal);
    if (!frame) return seen;
    seen.push(shrink(frame.bytes));
  }
}

/** How many look like none of the true frames: in some 8 x 8 block the difference is more than coding noise. */
const countSmeared = (seen: readonly Uint8Array[], truth: readonly Uint8Array[]): number =>
  seen.filter((picture) => !truth.some((real) => isAlike(picture, real))).length;

function isAlike(a: Uint8Array, b: Uint8Array): boolean {
  const { width, height } = thumbnail;
  for (let top = 0; top + 8 <= height; top += 8) {
    for (let left = 0; left + 8 <= width; left += 8) {
      let sum = 0;
      for (let y = top; y < top + 8; y += 1) {
        for (let at = y * width + left; at < y * width + left + 8; at += 1)
          sum += Math.abs((a[at] ?? 0) - (b[at] ?? 0));
      }
      if (sum >= 20 * 64) return false;
    }
  }
  return true;
}

describe('a damaged H.264 file', () => {
  it.each(ffmpegs)('shows no smeared frame to a live detector (ffmpeg $name)', async ({ ffmpeg: one }) => {
    await using folder = await temporaryFolder();
    const clean = join(folder.path, 'clean.h264');
    const encoder = ['-c:v', 'libx264', '-g', '25', '-bf', '0', '-preset', 'veryfast'];
    makeVideo(ffmpeg, clean, '-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25:d=10', ...encoder);
    const bytes = await readFile(clean);
    // Four wounds, in the middle of groups of pictures.
    for (const share of [0.23, 0.44, 0.66, 0.87]) {
      for (let at = 0; at < 200; at += 1) bytes[Math.round(bytes.length * share) + at] = (at * 37 + 11) & 255;
    }
    const damaged = join(folder.path, 'damaged.h264');
    await writeFile(damaged, bytes);
    const truth = await watch({ url: clean }, { ffmpeg: one, frames: 'every' });
    const replayed = await watch({ url: damaged }, { ffmpeg: one, frames: 'every' });
    const live = await watch({ url: damaged }, { ffmpeg: one, frames: 'newest' });
    expect(truth).toHaveLength(250);
    expect(countSmeared(replayed, truth)).toBeGreaterThan(10);
    expect(countSmeared(live, truth)).toBe(0);
    // How many of the clean ones it sees depends on how fast it reads: the newest wins.
    expect(live.length).toBeGreaterThan(0);
  });
});

describe('a folder of pictures', () => {
  it('is read in natural order, sizes and all, leaving out what is broken', async () => {
    await using folder = await temporaryFolder();
    const put = async (name: string, bytes: Buffer): Promise<void> => await writeFile(join(folder.path, name), bytes);
    await put('10.jpg', await testPicture(300, 100, '#0000ff'));
    await put('2.jpg', await testPicture(100, 200, '#ff0000'));
    await put(
      '11.png',
      await sharp({ create: { width: 50, height: 50, channels: 4, background: '#00ff00' } })
        .png()
        .toBuffer(),
    );
    await put('3.jpg', Buffer.alloc(0));
    await put('4.jpg', Buffer.from('not a picture'));
    await put('5.jpg', (await testPicture(2_000, 2_000)).subarray(0, 5_000));
    await put('6.png', bomb());
    await put(
      '7.jpg',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'),
    );
    await put('notes.txt', Buffer.from('no picture'));
    await mkdir(join(folder.path, '8.jpg'));
    const lines: string[] = [];
    const pictures = { everyFrames: 1, maxWidth: 150, keep: 9 };
    await using rig = new Rig({ url: folder.path }, { ffmpeg, frames: 'every', pictures, log: recordingLog(lines) });
    const seen: unknown[] = [];
    for (;;) {
      using frame = await rig.camera.next(rig.stopping.signal);
      if (!frame) break;
      const [b = 0, g = 0, r = 0] = [0, 1, 2].map((plane) => frame.bytes[plane * 416 * 416]);
      seen.push([frame.number, frame.source, [r > 128, g > 128, b > 128], frame.bytes[416 * 416 - 1]]);
    }
    expect(seen).toEqual([
      [0, { width: 100, height: 200 }, [true, false, false], 114],
      [1, { width: 300, height: 100 }, [false, false, true], 114],
      [2, { width: 50, height: 50 }, [false, true, false], 0],
    ]);
    expect(rig.camera.picture(1)?.size).toEqual({ width: 150, height: 50 });
    expect(lines.filter((line) => line.includes('left out'))).toHaveLength(6);
    expect(await rig.ended).toBeUndefined();
  });

  it('says so when there is none that can be read', async () => {
    await using folder = await temporaryFolder();
    await using rig = new Rig({ url: folder.path }, { ffmpeg, frames: 'every' });
    expect(await rig.ended).toMatchObject({ code: 'source-unreadable' });
  });

  it('sorts as people number', async () => {
    await using folder = await temporaryFolder();
    for (const name of ['b10.jpg', 'b9.JPG', 'a.png', 'x.avi']) await writeFile(join(folder.path, name), '');
    expect(await listPictures(folder.path)).toEqual(['a.png', 'b9.JPG', 'b10.jpg']);
  });
});

it('shows the rendered street and ends where its address says', async () => {
  await using rig = new Rig({ url: 'sim://street?seed=3&fps=10&seconds=1' }, { ffmpeg, frames: 'every' });
  expect(await rig.read()).toBe(10);
  expect(await rig.ended).toBeUndefined();
  expect(rig.states[1]).toMatchObject({ state: 'open', fps: 10 });
});

/** A PNG of 30,000 x 30,000 pixels in a few bytes: only its header is true. */
function bomb(): Buffer {
  const header = Buffer.from('89504e470d0a1a0a0000000d4948445200007530000075300802000000', 'hex');
  const rest = Buffer.from('000000000000000a49444154789c6300000000020001', 'hex');
  return Buffer.concat([header, rest]);
}

describe('hostile and broken files', () => {
  const hostile: Record<string, Buffer> = {
    'text.avi': Buffer.from('This is no video.\n'.repeat(500)),
    'list.m3u8': Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'),
    'list.avi': Buffer.from(
      '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nconcat:http://127.0.0.1:1/x|file:///etc/passwd\n#EXT-X-ENDLIST\n',
    ),
    'script.mp4': Buffer.from("ffconcat version 1.0\nfile '/etc/passwd'\n"),
    'bomb.png': bomb(),
    'bomb.avi': bomb(),
    'zeros.mp4': Buffer.alloc(100_000),
  };

  it.each(ffmpegs)('each end as an error that says what to do (ffmpeg $name)', async ({ ffmpeg: one }) => {
    await using folder = await temporaryFolder();
    for (const [name, bytes] of Object.entries(hostile)) {
      const path = join(folder.path, name);
      await writeFile(path, bytes);
      await using rig = new Rig({ url: path }, { ffmpeg: one, frames: 'every' });
      expect(await rig.ended, name).toMatchObject({
        code: expect.stringMatching(/^source-(unreadable|forbidden)$/) as string,
      });
      expect(rig.camera.stats, name).toMatchObject({ decoded: 0, pids: [] });
    }
  });

  it('a missing, an empty, a forbidden and a strange one are told apart', async () => {
    await using folder = await temporaryFolder();
    const empty = join(folder.path, 'empty.avi');
    await writeFile(empty, '');
    const cases = [
      ['/nowhere/cam.avi', 'source-missing'],
      [empty, 'source-unreadable'],
      ['/dev/null', 'source-unsupported'],
      ['ftp://host/cam', 'source-unsupported'],
      ['rtsp://', 'source-unsupported'],
      ['sim://street?seed=x', 'sim-url'],
    ] as const;
    for (const [url, code] of cases) {
      await using rig = new Rig({ url }, { ffmpeg, frames: 'every' });
      expect(await rig.ended, url).toMatchObject({ code, kind: 'config' });
    }
    await using wrong = new Rig({ url: empty, kind: 'folder' }, { ffmpeg, frames: 'every' });
    expect(await wrong.ended).toMatchObject({ code: 'source-unsupported' });
  });

  it('a truncated one is read as far as it goes', async () => {
    await using folder = await temporaryFolder();
    const whole = join(folder.path, 'whole.avi');
    makeVideo(ffmpeg, whole, '-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=10:d=4', '-c:v', 'mjpeg');
    const bytes = await readFile(whole);
    const cut = join(folder.path, 'cut.avi');
    await writeFile(cut, bytes.subarray(0, bytes.length / 2));
    for (const { ffmpeg: one } of ffmpegs) {
      await using rig = new Rig({ url: cut }, { ffmpeg: one, frames: 'every' });
      const read = await rig.read();
      expect(read).toBeGreaterThan(10);
      expect(read).toBeLessThan(30);
      expect(await rig.ended).toBeUndefined();
    }
  });

  it('a camera whose file comes later opens then', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'later.avi');
    await using rig = new Rig({ url: path }, { ffmpeg, random: () => 0 });
    expect(await rig.state('down')).toMatchObject({ code: 'source-missing', detail: `${path} is not there.` });
    const ready = join(folder.path, 'ready.avi');
    makeVideo(ffmpeg, ready, '-f', 'lavfi', '-i', 'testsrc2=s=64x48:r=10:d=1', '-c:v', 'mjpeg');
    await copyFile(ready, path);
    await rig.state('open');
    expect(rig.camera.stats.reopened).toBeGreaterThanOrEqual(1);
  });
});

describe('processes', () => {
  it('leaves none behind, whenever it is stopped', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'long.avi');
    makeVideo(ffmpeg, path, '-f', 'lavfi', '-i', 'testsrc2=s=640x480:r=25:d=20', '-c:v', 'mjpeg');
    for (const wait of [0, 1, 5, 20, 60, 150]) {
      for (const frames of ['newest', 'every'] as const) {
        const rig = new Rig({ url: path }, { ffmpeg, frames });
        await pause(wait);
        const { pids } = rig.camera.stats;
        rig.stopping.abort();
        expect(await rig.ended).toBeUndefined();
        expect(pids.filter(isRunning)).toEqual([]);
        expect(rig.camera.stats.pids).toEqual([]);
      }
    }
  });

  it('opens again when ffmpeg is killed under it', async () => {
    await using rig = new Rig({ url: testVideo }, { ffmpeg, random: () => 0 });
    await rig.state('open');
    const before = rig.camera.stats.decoded;
    for (const pid of rig.camera.stats.pids) process.kill(pid, 'SIGKILL');
    await eventually(() => rig.camera.stats.decoded > before + 5, 'frames again');
  });

  it('dies with its owner, even when that is killed outright', async () => {
    for (const frames of ['newest', 'every']) {
      const script = [
        `import { Rig, knownFfmpegs } from ${JSON.stringify(join(import.meta.dirname, 'test-rig.ts'))};`,
        `const [{ ffmpeg }] = await knownFfmpegs();`,
        `const rig = new Rig({ url: ${JSON.stringify(testVideo)} }, { ffmpeg, frames: '${frames}' });`,
        `await rig.state('open'); console.log(rig.camera.stats.pids.join(' '));`,
      ].join('\n');
      const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const pids = await new Promise<number[]>((resolve) => {
        owner.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim().split(' ').map(Number)));
      });
      expect(pids.map(isRunning)).toEqual([true]);
      owner.kill('SIGKILL');
      await eventually(() => !pids.some(isRunning), 'no ffmpeg left');
    }
  });
});

it('keeps its pictures off the disk: nothing of this room writes a file', () => {
  for (const name of ['camera', 'video', 'picture-ring', 'still', 'folder', 'http', 'http-camera']) {
    expect(readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8')).not.toMatch(
      /writeFile|createWriteStream|toFile/,
    );
  }
});

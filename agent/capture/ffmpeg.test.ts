/** Finding ffmpeg, driving two versions alike, and reading what it says. */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, afterEach, describe, it } from 'vitest';
import * as fc from 'fast-check';
import { toOutpostError } from '#agent/core/errors.ts';
import { redactIn } from '#agent/core/redact-url.ts';
import { type Fit, type FrameFormat, fitGeometry, fittedSize } from '#agent/domain/frame.ts';
import { findFfmpeg, optionsOf, parseHelp, parseVersion } from './ffmpeg.ts';
import { FfmpegReport } from './ffmpeg-report.ts';
import { Rig, knownFfmpegs, makeVideo, temporaryFolder } from './test-rig.ts';

const ffmpegs = await knownFfmpegs();
const saved = { PATH: process.env['PATH'], OUTPOST_FFMPEG: process.env['OUTPOST_FFMPEG'] };

afterEach(() => {
  for (const [key, value] of Object.entries(saved)) {
    if (value === undefined) Reflect.deleteProperty(process.env, key);
    else process.env[key] = value;
  }
});

describe('finds ffmpeg', () => {
  it('says what to install where there is none', async () => {
    process.env['OUTPOST_FFMPEG'] = '/nowhere/ffmpeg';
    const error = toOutpostError(await findFfmpeg().catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ code: 'ffmpeg-missing', kind: 'config' });
    expect(error.message).toContain('/nowhere/ffmpeg');
    expect(error.hint).toContain('apt-get install ffmpeg');
    expect(error.hint).toContain('dnf install ffmpeg');
  });

  it('falls back to the development package where PATH has none', async () => {
    process.env['PATH'] = '/nowhere';
    Reflect.deleteProperty(process.env, 'OUTPOST_FFMPEG');
    const { path, tether } = await findFfmpeg();
    expect(path).toContain('@ffmpeg-installer');
    expect(tether).toEqual([]);
  });

  it('refuses what is no ffmpeg, or too old', async () => {
    await using folder = await temporaryFolder();
    const script = join(folder.path, 'ffmpeg');
    for (const says of ['hello', 'ffmpeg version 3.4.8-0ubuntu0.2 Copyright']) {
      await writeFile(script, `#!/bin/sh\necho "${says}"\n`);
      await chmod(script, 0o755);
      await expect(findFfmpeg({ explicitPath: script })).rejects.toMatchObject({
        code: 'ffmpeg-unusable',
        kind: 'config',
      });
    }
  });

  it('reads versions and options of old and new ones', () => {
    expect(parseVersion('ffmpeg version 4.2.7 Copyright (c)')).toBe('4.2.7');
    expect(parseVersion('ffmpeg version n7.1-12-gabc Copyright')).toBe('n7.1-12-gabc');
    const knownOptions = (help: string): unknown => optionsOf(parseHelp(help));
    expect(knownOptions('-vsync   set video sync\n  -stimeout  <int>\n  -timeout <int> listen')).toEqual({
      passthrough: ['-vsync', '0'],
      rtspTimeout: '-stimeout',
      showinfo: '',
    });
    expect(
      knownOptions(
        '-fps_mode   set framerate\n  -timeout <int64>\nshowinfo AVOptions:\n   checksum   <boolean>  ..FV.......',
      ),
    ).toEqual({ passthrough: ['-fps_mode', 'passthrough'], rtspTimeout: '-timeout', showinfo: '=checksum=0' });
  });
});

describe('what ffmpeg said of itself', () => {
  const help = (version: string): string =>
    `#!/bin/sh\necho asked >>"$0.asked"\necho "ffmpeg version ${version} Copyright"\necho "-fps_mode   set"\n`;

  async function scripted(folder: string) {
    const path = join(folder, 'ffmpeg');
    const kept = join(folder, 'cache', 'ffmpeg.json');
    const write = async (version: string): Promise<void> => {
      await rm(path, { force: true });
      await writeFile(path, help(version), { mode: 0o755 });
    };
    const find = async (): Promise<string> => (await findFfmpeg({ explicitPath: path, memory: kept })).version;
    const asked = async (): Promise<number> => (await readFile(`${path}.asked`, 'utf8')).trim().split('\n').length;
    await write('6.1');
    return { write, find, asked, kept };
  }

  it('is asked once, until the file is another one', async () => {
    await using folder = await temporaryFolder();
    const { write, find, asked } = await scripted(folder.path);
    expect([await find(), await find(), await asked()]).toEqual(['6.1', '6.1', 1]);
    await write('7.0');
    expect([await find(), await find(), await asked()]).toEqual(['7.0', '7.0', 2]);
    expect(await findFfmpeg({ explicitPath: join(folder.path, 'ffmpeg') })).toMatchObject({ version: '7.0' });
    expect(await asked()).toBe(3);
  });

  it.each(['', '{', 'null', '[]', '{"file":1}', '{"file":"x","answer":{"version":"6.1 -i /etc/passwd"}}'])(
    'is asked again where %j was kept',
    async (text) => {
      await using folder = await temporaryFolder();
      const { find, asked, kept } = await scripted(folder.path);
      await find();
      await writeFile(kept, text);
      expect([await find(), await asked()]).toEqual(['6.1', 2]);
    },
  );

  it('is not believed without the flags, nor kept where nothing can be written', async () => {
    await using folder = await temporaryFolder();
    const { find, asked, kept } = await scripted(folder.path);
    await find();
    const whole = JSON.parse(await readFile(kept, 'utf8')) as { answer: Record<string, unknown> };
    await writeFile(kept, JSON.stringify({ ...whole, answer: { ...whole.answer, hasFpsMode: 'yes' } }));
    expect([await find(), await asked()]).toEqual(['6.1', 2]);
    await rm(join(folder.path, 'cache'), { recursive: true });
    await writeFile(join(folder.path, 'cache'), 'a file where the folder would be');
    expect([await find(), await find(), await asked()]).toEqual(['6.1', '6.1', 4]);
  });
});

describe.each(ffmpegs)('ffmpeg $name', ({ ffmpeg }) => {
  const sizes = [
    [768, 576],
    [334, 158],
    [416, 416],
    [98, 1000],
    [1000, 34],
    [1280, 720],
    [1920, 1082],
    [350, 700],
  ] as const;
  const fits: Fit[] = ['letterbox-top-left', 'letterbox-centre', 'stretch'];

  it('fits a picture exactly as fittedSize and fitGeometry say', async () => {
    await using folder = await temporaryFolder();
    for (const [width, height] of sizes) {
      const path = join(folder.path, `${width}x${height}.avi`);
      const white = `color=c=white:s=${width}x${height}:d=0.2:r=10`;
      makeVideo(ffmpeg, path, '-f', 'lavfi', '-i', white, '-c:v', 'mjpeg', '-q:v', '2', '-pix_fmt', 'yuvj420p');
      for (const fit of fits) {
        const format: FrameFormat = { width: 415, height: 320, pixels: 'bgr-planar', fit, padding: 114 };
        await using rig = new Rig({ url: path, loop: false }, { ffmpeg, format, frames: 'every' });
        using frame = await rig.camera.next(rig.stopping.signal);
        expect(frame?.source).toEqual({ width, height });
        const content = fittedSize({ width, height }, format);
        const { offsetX, offsetY } = fitGeometry({ width, height }, format);
        for (let plane = 0; plane < 3; plane += 1) {
          const pixels = frame?.bytes.subarray(plane * 415 * 320, (plane + 1) * 415 * 320) ?? new Uint8Array();
          const inside = (index: number): boolean => {
            const [x, y] = [(index % 415) - offsetX, Math.floor(index / 415) - offsetY];
            return x >= 0 && y >= 0 && x < content.width && y < content.height;
          };
          const wrong = pixels.findIndex((value, index) => (inside(index) ? value < 240 : value !== 114));
          expect(wrong, `${width}x${height} ${fit} plane ${plane}`).toBe(-1);
        }
      }
    }
  });

  it.each([
    { pixels: 'bgr-planar', order: [2, 1, 0] },
    { pixels: 'rgb-planar', order: [0, 1, 2] },
  ] as const)('lays the planes as $pixels', async ({ pixels, order }) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'colour.avi');
    makeVideo(
      ffmpeg,
      path,
      '-f',
      'lavfi',
      '-i',
      'color=c=0xC86414:s=64x64:d=0.2:r=10',
      '-c:v',
      'ffv1',
      '-pix_fmt',
      'bgr0',
    );
    const format: FrameFormat = { width: 32, height: 32, pixels, fit: 'stretch', padding: 0 };
    await using rig = new Rig({ url: path, loop: false }, { ffmpeg, format, frames: 'every' });
    using frame = await rig.camera.next(rig.stopping.signal);
    const means = [0, 1, 2].map((plane) => frame?.bytes[plane * 1024 + 500] ?? -1);
    const rgb = [0xc8, 0x64, 0x14];
    for (const [plane, channel] of order.entries()) {
      expect(Math.abs((means[plane] ?? -1) - (rgb[channel] ?? -1))).toBeLessThanOrEqual(2);
    }
  });
});

const deaf = {
  onSource: () => undefined,
  onDamage: () => undefined,
  onKeyFrame: () => undefined,
  onShown: () => undefined,
};

describe('FfmpegReport', () => {
  const url = 'rtsp://admin:pa%40ss@10.0.0.9/live?token=abc123';
  const said = [
    "[info] Input #0, rtsp, from 'rtsp://x':",
    '[info]     Stream #0:0: Video: h264 (High), yuv420p, 1280x720, 25 fps, 25 tbr, 90k tbn',
    '[info] Stream mapping:',
    "[scale@fit @ 0x55c57] [verbose] w:max(1,2) h:3 flags:'bilinear' interl:0",
    '[scale@fit @ 0x55c57] [verbose] w:1280 h:720 fmt:yuv420p sar:0/1 -> w:416 h:234 fmt:gbrp sar:0/1 flags:0x2',
    '[h264 @ 0x55] [info] concealing 237 DC, 237 AC, 237 MV errors in I frame',
    '[scale@fit @ 0x55c58] [verbose] w:640 h:480 fmt:yuv420p sar:0/1 -> w:416 h:312 fmt:gbrp sar:0/1 flags:0x2',
    `[rtsp @ 0x55] [error] method DESCRIBE failed: 401 Unauthorized`,
    `[error] ${url}: Server returned 401 Unauthorized (authorization failed)`,
    '',
  ].join('\n');

  it('tells size, rate, damage and reason, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 97 }), (cut) => {
        const sizes: unknown[] = [];
        const damaged: boolean[] = [];
        const report = new FfmpegReport(
          { ...deaf, onSource: (size) => sizes.push(size), onDamage: (key) => damaged.push(key) },
          (text) => redactIn(text, url),
        );
        for (let from = 0; from < said.length; from += cut) report.push(Buffer.from(said.slice(from, from + cut)));
        expect(sizes).toEqual([
          { width: 1280, height: 720 },
          { width: 640, height: 480 },
        ]);
        expect(damaged).toEqual([true]);
        expect(report.fps).toBe(25);
        expect(report.problem()).toMatchObject({ code: 'source-unauthorized' });
        expect(JSON.stringify(report.problem()) + (report.problem()?.message ?? '')).not.toMatch(
          /admin|pa@ss|pa%40ss|abc123/,
        );
      }),
    );
  });

  it('tells frames in their order among the complaints, key frames once, where all are shown or some are left out', () => {
    const shown = (key: number): string =>
      `[showinfo@shown @ 0x1] [info] n:   1 pts:  1 fmt:gbrp i:P iskey:${key} type:P\n`;
    const decoded = (key: number): string =>
      `[decoded @ 0x2] [info] n:   1 pts:  1 fmt:yuv420p i:P iskey:${key} type:P\n`;
    const complaint = '[h264 @ 0x55] [info] concealing 237 DC, 237 AC, 237 MV errors in P frame\n';
    const told = (lines: readonly string[]): string => {
      let order = '';
      const report = new FfmpegReport(
        {
          onSource: () => undefined,
          onDamage: () => (order += 'd'),
          onKeyFrame: () => (order += 'K'),
          onShown: () => (order += 's'),
        },
        (text) => text,
      );
      report.push(Buffer.from(lines.join('')));
      return order;
    };
    expect(told([shown(1), shown(0), complaint, shown(0), shown(1)])).toBe('KssdsKs');
    expect(told([decoded(1), shown(1), decoded(0), complaint, decoded(1), decoded(0), shown(0)])).toBe('KsdKs');
    expect(told(['[shown @ 0x1] [info] config in time_base: 1/10, frame_rate: 10/1\n'])).toBe('');
  });

  it.each([
    ['Connection to tcp://10.0.0.9:554 failed: Connection refused', 'source-unreachable'],
    ['rtsp://x: No route to host', 'source-unreachable'],
    ['method DESCRIBE failed: 404 Not Found', 'source-not-found'],
    ["Protocol 'http' not on whitelist 'file'!", 'source-forbidden'],
    ['/x.avi: Invalid data found when processing input', 'source-unreadable'],
    ['method DESCRIBE failed: 503 Service Unavailable', 'source-refused'],
  ])('takes %j for %s', (line, code) => {
    const report = new FfmpegReport(deaf, (text) => text);
    report.push(Buffer.from(`[error] ${line}\n`));
    expect(report.problem()?.code).toBe(code);
  });

  it('stays bounded on a babbling program', () => {
    const report = new FfmpegReport(deaf, (text) => text);
    for (let round = 0; round < 100; round += 1) report.push(Buffer.alloc(65_536, 'x'));
    report.push(Buffer.from('\n[error] Invalid data found\n'));
    expect(report.problem()?.code).toBe('source-unreadable');
  });
});

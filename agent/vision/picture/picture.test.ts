import { readFileSync } from 'node:fs';
import sharp, { type Region } from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { Box } from '#agent/domain/box.ts';
import type { Annotation } from '../protocol.ts';
import { makePicture, redactPicture } from './picture.ts';

const bare: Annotation = { title: '', boxes: [], zones: [], lines: [] };
const standing: Box = [0.4, 0.1, 0.6, 0.9];
const head = { left: 280, top: 50, width: 80, height: 60 };
const quality = 90;
const maxWidth = 1280;

/** Fine stripes: their contrast is gone where blocks lie. */
let striped: Buffer;
beforeAll(async () => {
  const rgb = Buffer.alloc(640 * 480 * 3);
  for (let index = 0; index < rgb.length; index++) rgb[index] = Math.floor(index / 3) % 4 < 2 ? 20 : 235;
  striped = await sharp(rgb, { raw: { width: 640, height: 480, channels: 3 } })
    .jpeg({ quality: 95 })
    .withExif({ IFD0: { Copyright: 'somebody', ImageDescription: 'a secret' } })
    .toBuffer();
});

async function contrast(jpeg: Buffer, region: Region): Promise<number> {
  const part = await sharp(jpeg).extract(region).greyscale().toBuffer();
  return (await sharp(part).stats()).channels[0]?.stdev ?? Number.NaN;
}

describe('makePicture', () => {
  test('hides what it is told to, and leaves the rest', async () => {
    const picture = await makePicture({ jpeg: striped, hide: [standing], annotation: bare, quality, maxWidth });
    expect(await contrast(picture, head)).toBeLessThan(10);
    expect(await contrast(picture, { left: 10, top: 300, width: 80, height: 60 })).toBeGreaterThan(80);
  });

  test('carries no metadata', async () => {
    expect((await sharp(striped).metadata()).exif).toBeDefined();
    const picture = await makePicture({ jpeg: striped, hide: [], annotation: bare, quality, maxWidth });
    const { exif, iptc, xmp, icc, format } = await sharp(picture).metadata();
    expect({ exif, iptc, xmp, icc, format }).toEqual({ format: 'jpeg' });
    expect(picture.includes('secret')).toBe(false);
  });

  test('is scaled down to its width, never up', async () => {
    const small = await makePicture({ jpeg: striped, hide: [], annotation: bare, quality, maxWidth: 320 });
    expect(await sharp(small).metadata()).toMatchObject({ width: 320, height: 240 });
    const same = await makePicture({ jpeg: striped, hide: [], annotation: bare, quality, maxWidth: 4000 });
    expect(await sharp(same).metadata()).toMatchObject({ width: 640, height: 480 });
  });

  test('draws title, boxes, zones and lines, also far outside, endless and in any script', async () => {
    const annotation: Annotation = {
      title: `<script>&"' 越界 \0\n${'long '.repeat(200)}`,
      boxes: [
        { box: [-3, -3, 5, 5], text: 'person 1', accent: true },
        { box: [0.2, 0.2, 0.4, 0.8], text: '', accent: false },
      ],
      zones: [
        {
          id: 'yard',
          polygon: [
            [0.1, 0.5],
            [0.9, 0.5],
            [0.5, 2],
          ],
        },
      ],
      lines: [
        { id: 'gate', from: [-1, 0.5], to: [2, 0.5] },
        { id: 'point', from: [0.5, 0.5], to: [0.5, 0.5] },
      ],
    };
    const plain = await makePicture({ jpeg: striped, hide: 'everything', annotation: bare, quality, maxWidth });
    const drawn = await makePicture({ jpeg: striped, hide: 'everything', annotation, quality, maxWidth });
    expect(await contrast(plain, { left: 0, top: 0, width: 640, height: 30 })).toBeLessThan(15);
    expect(await contrast(drawn, { left: 0, top: 0, width: 640, height: 30 })).toBeGreaterThan(40);
    expect(await contrast(drawn, { left: 125, top: 90, width: 20, height: 100 })).toBeGreaterThan(15);
  });

  test('takes grey, transparent and CMYK pictures', async () => {
    const grey = await sharp(striped).greyscale().jpeg().toBuffer();
    const clear = await sharp({ create: { width: 50, height: 40, channels: 4, background: '#f000' } })
      .png()
      .toBuffer();
    const cmyk = await sharp(striped).toColourspace('cmyk').jpeg().toBuffer();
    for (const jpeg of [grey, clear, cmyk]) {
      const picture = await makePicture({ jpeg, hide: [standing], annotation: bare, quality, maxWidth });
      expect(await sharp(picture).metadata()).toMatchObject({ format: 'jpeg', channels: 3 });
    }
  });

  test('hides what is seen upright, where the picture is stored on its side', async () => {
    const onItsSide = await sharp(striped).withMetadata({ orientation: 6 }).toBuffer();
    const picture = await makePicture({ jpeg: onItsSide, hide: [[0, 0, 1, 1]], annotation: bare, quality, maxWidth });
    expect(await sharp(picture).metadata()).toMatchObject({ width: 480, height: 640 });
    expect(await contrast(picture, { left: 0, top: 0, width: 480, height: 200 })).toBeLessThan(15);
  });

  test.each<[string, () => Promise<Uint8Array> | Uint8Array]>([
    ['empty', () => new Uint8Array()],
    ['no picture', () => Buffer.from('not a picture at all')],
    ['cut short', () => striped.subarray(0, striped.length / 2)],
    [
      'a bomb',
      () =>
        sharp({ create: { width: 16_000, height: 8000, channels: 3, background: '#000' } })
          .png()
          .toBuffer(),
    ],
  ])('refuses a picture that is %s', async (_what, jpeg) => {
    const making = makePicture({ jpeg: await jpeg(), hide: [], annotation: bare, quality, maxWidth });
    await expect(making).rejects.toMatchObject({ code: 'picture-unreadable' });
  });
});

describe('redactPicture', () => {
  const request = { annotation: bare, quality, maxWidth, onBlind: () => undefined };

  test('hides those that the tracker knows and those that only this look finds', async () => {
    const untracked: Box = [0.05, 0.1, 0.25, 0.9];
    const picture = await redactPicture({
      ...request,
      jpeg: striped,
      tracked: [standing],
      findPeople: async () => await Promise.resolve([untracked]),
    });
    expect(await contrast(picture, head)).toBeLessThan(10);
    expect(await contrast(picture, { left: 40, top: 50, width: 80, height: 60 })).toBeLessThan(10);
    expect(await contrast(picture, { left: 500, top: 50, width: 80, height: 60 })).toBeGreaterThan(80);
  });

  test('hides everything when the look fails, and says so', async () => {
    const failures: unknown[] = [];
    const picture = await redactPicture({
      ...request,
      jpeg: striped,
      tracked: [standing],
      findPeople: async () => await Promise.reject(new Error('the redactor is down')),
      onBlind: (error) => failures.push(error),
    });
    expect(failures).toEqual([new Error('the redactor is down')]);
    expect(await contrast(picture, { left: 0, top: 0, width: 640, height: 480 })).toBeLessThan(10);
  });

  test('hides everything when the look gives nonsense', async () => {
    const picture = await redactPicture({
      ...request,
      jpeg: striped,
      tracked: [],
      findPeople: async () => await Promise.resolve([[Number.NaN, 0, 0, 0] as const]),
    });
    expect(await contrast(picture, { left: 0, top: 0, width: 640, height: 480 })).toBeLessThan(10);
  });
});

describeWith('on photographs', [needsData('voc')], () => {
  test('no detail of a hidden face is left', async () => {
    const jpeg = readFileSync(testData('voc', '2007_000027.jpg'));
    const person: Box = [174 / 486, 101 / 500, 349 / 486, 351 / 500];
    const face = { left: 180, top: 105, width: 160, height: 60 };
    const before = await detail(jpeg, face);
    const after = await detail(
      await makePicture({ jpeg, hide: [person], annotation: bare, quality: 100, maxWidth }),
      face,
    );
    expect(after).toBeLessThan(before / 4);
  });
});

/** What a Laplacian finds: edges of a face, but not the few edges between large blocks. */
async function detail(jpeg: Buffer, region: Region): Promise<number> {
  const { data } = await sharp(jpeg)
    .extract(region)
    .greyscale()
    .convolve({ width: 3, height: 3, kernel: [0, -1, 0, -1, 4, -1, 0, -1, 0], offset: 128, scale: 1 })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return (data.toSorted()[Math.floor(data.length * 0.85)] ?? Number.NaN) - 128;
}

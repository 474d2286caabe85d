import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FrameFormat } from '#agent/domain/frame.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { type Manifest, manifestSchema } from '#models/manifest.ts';
import { type Model, frameFormat, labelsOf } from '#models/model.ts';
import { OnnxGraph } from '#models/convert/onnx.ts';
import { readManifest, resolveModel } from '#models/registry.ts';
import { Detector } from './detector.ts';
import { pictureToPlanes } from './letterbox.ts';
import { EarlyDetector } from './early-detector.ts';
import { RemoteDetector } from './remote-detector.ts';
import { type Session, openSession } from './session.ts';
import { differencesOf, verifyModel } from './verify.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-session-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tiny = (more: object = {}): Manifest =>
  manifestSchema.parse({
    name: 'tiny',
    title: 'tiny',
    task: 'detection',
    head: 'yolox',
    weights: { file: 'tiny.onnx' },
    input: { name: 'x', width: 64, height: 32, colour: 'rgb', fit: 'stretch' },
    strides: [32],
    labels: ['person', 'car'],
    thresholds: { low: 0.1, high: 0.3, birth: 0.4 },
    licence: { weights: 'none', notice: 'none' },
    ...more,
  });

/** A network without weights: a reshape of what comes in. */
function onnx(input = { name: 'x', dims: [1, 3, 32, 64] }, output = [1, 2, 7]): Uint8Array {
  const graph = new OnnxGraph();
  const flat = graph.node('Reshape', [graph.input(input.name, input.dims), graph.ints([-1])]);
  const count = output.reduce((product, size) => product * size, 1);
  const part = graph.node('Slice', [flat, graph.ints([0]), graph.ints([count])]);
  graph.output(graph.node('Reshape', [part, graph.ints(output)]), 'y', output);
  return graph.encode('test');
}

function model(weights: Uint8Array | undefined, manifest = tiny()): Model {
  const weightsPath = join(folder, manifest.weights.file);
  if (weights) writeFileSync(weightsPath, weights);
  return { manifest, labels: labelsOf(manifest), weightsPath };
}

const openCode = async (opened: Model): Promise<{ code: string; message: string; hint: string }> => {
  try {
    await using session = await openSession(opened, { threads: 1 });
    return { code: 'none', message: session.inputDims.join(), hint: '' };
  } catch (thrown) {
    return thrown as { code: string; message: string; hint: string };
  }
};

describe('a model that cannot be used', () => {
  test('opens when all fits', async () => {
    expect(await openCode(model(onnx()))).toMatchObject({ code: 'none', message: '1,3,32,64' });
  });

  test('missing, a folder, empty', async () => {
    expect(await openCode(model(undefined))).toMatchObject({ code: 'model-missing' });
    expect(await openCode(model(new Uint8Array(0)))).toMatchObject({ code: 'model-damaged' });
    mkdirSync(join(folder, 'a.onnx'));
    expect(await openCode(model(undefined, tiny({ weights: { file: 'a.onnx' } })))).toMatchObject({
      code: 'model-missing',
    });
  });

  test('no ONNX at all, and ONNX cut short', async () => {
    expect(await openCode(model(Buffer.from('<html>not found</html>')))).toMatchObject({ code: 'model-damaged' });
    expect(await openCode(model(onnx().subarray(0, 100)))).toMatchObject({ code: 'model-damaged' });
  });

  test('another length, another hash', async () => {
    const bytes = onnx();
    const expecting = (weights: object): Model => model(bytes, tiny({ weights: { file: 'tiny.onnx', ...weights } }));
    expect(await openCode(expecting({ bytes: bytes.length + 1 }))).toMatchObject({
      code: 'model-damaged',
      message: expect.stringContaining('truncated') as string,
    });
    expect(await openCode(expecting({ sha256: '0'.repeat(64) }))).toMatchObject({
      code: 'model-damaged',
      message: expect.stringContaining('sha256') as string,
    });
  });

  test.each([
    [
      'input of another name',
      onnx({ name: 'image', dims: [1, 3, 32, 64] }),
      /expected as x float32 1x3x32x64, found image float32 1x3x32x64/,
    ],
    ['input of another size', onnx({ name: 'x', dims: [1, 3, 64, 64] }), /found x float32 1x3x64x64/],
    ['input of another rank', onnx({ name: 'x', dims: [1, 6144] }), /found x float32 1x6144/],
    [
      'output that the head does not know',
      onnx(undefined, [1, 2, 85]),
      /head yolox: output y is expected as 1x2x7, found 1x2x85/,
    ],
    ['output of other cells', onnx(undefined, [1, 8, 7]), /found 1x8x7/],
  ])('%s: expected against found', async (_what, bytes, message) => {
    const refused = await openCode(model(bytes));
    expect(refused.code).toBe('model-mismatch');
    expect(refused.message).toMatch(message);
    expect(refused.hint).toMatch(/manifest|head/);
  });
});

/** Answers with one box that fills the content of a letterboxed picture. */
const boxSession = (values: readonly number[]): Session & { input: Float32Array } => ({
  input: new Float32Array(0),
  inputDims: [1, 3, 32, 64],
  async run(input) {
    this.input = input;
    return await Promise.resolve({ y: { dims: [1, 2, 7], data: Float32Array.from([...values, ...Array(7).fill(0)]) } });
  },
  async [Symbol.asyncDispose]() {},
});

describe('the detector', () => {
  const bytes = new Uint8Array(3 * 32 * 64).fill(100);
  const source = { width: 320, height: 320 };
  // Centre 48, 16: content of a square picture, centred in 64 x 32, spans 16..48.
  const content = [1, 0.5, 0, 0, 0.9, 1, 0.2];

  test('puts boxes back into the picture, by name, surest first', async () => {
    const manifest = tiny({ input: { name: 'x', width: 64, height: 32, colour: 'rgb', fit: 'letterbox-centre' } });
    const detector = new Detector(boxSession(content), model(undefined, manifest));
    const { detections, inferenceMs } = await detector.detect(bytes, source);
    expect(detections).toEqual([{ label: 'person', score: expect.closeTo(0.9, 5) as number, box: [0, 0, 1, 1] }]);
    expect(inferenceMs).toBeGreaterThanOrEqual(0);
  });

  test('normalises a channel at a time', async () => {
    const session = boxSession(content);
    const input = {
      name: 'x',
      width: 64,
      height: 32,
      colour: 'rgb',
      fit: 'stretch',
      mean: [100, 50, 0],
      std: [1, 2, 4],
    };
    await new Detector(session, model(undefined, tiny({ input }))).detect(bytes, source);
    expect([session.input[0], session.input[2048], session.input[4096]]).toEqual([0, 25, 25]);
    const plain = boxSession(content);
    await new Detector(plain, model(undefined)).detect(bytes, source);
    expect([plain.input[0], plain.input[6143]]).toEqual([100, 100]);
  });

  test('keeps wanted labels and scores alone', async () => {
    const detector = new Detector(boxSession(content), model(undefined));
    expect((await detector.detect(bytes, source, { labels: ['car'] })).detections).toEqual([]);
    expect((await detector.detect(bytes, source, { labels: ['car', 'person'] })).detections).toHaveLength(1);
    expect((await detector.detect(bytes, source, { labels: [] })).detections).toHaveLength(1);
    expect((await detector.detect(bytes, source, { minScore: 0.95 })).detections).toEqual([]);
  });

  test('a model that says nonsense gives no box, or one near the picture', async () => {
    const far = new Detector(boxSession([0, 0, 9, 9, 1, 1, 0]), model(undefined));
    expect((await far.detect(bytes, source)).detections[0]?.box).toEqual([-0.5, -0.5, 1.5, 1.5]);
    for (const nonsense of [Number.NaN, 1e30, Infinity]) {
      const detector = new Detector(boxSession([0, 0, nonsense, nonsense, 1, 1, 0]), model(undefined));
      expect((await detector.detect(bytes, source)).detections).toEqual([]);
    }
  });

  test('frames of another size are refused', async () => {
    const detector = new Detector(boxSession(content), model(undefined));
    await expect(detector.detect(new Uint8Array(10), source)).rejects.toMatchObject({ code: 'frame-misfit' });
    await expect(detector.detect(bytes, { width: 0, height: 5 })).rejects.toMatchObject({ code: 'frame-misfit' });
  });
});

describe('the letterbox', () => {
  const format: FrameFormat = { width: 8, height: 4, pixels: 'bgr-planar', fit: 'letterbox-centre', padding: 7 };
  const red = (width: number, height: number): Sharp =>
    sharp({ create: { width, height, channels: 3, background: { r: 200, g: 100, b: 50 } } });
  const rows = (bytes: Uint8Array, plane: number): number[][] =>
    Array.from({ length: 4 }, (_row, y) => [...bytes.subarray(plane * 32 + y * 8, plane * 32 + y * 8 + 8)]);

  test('centred: planes in the order B, G, R, padding on both sides', async () => {
    const { bytes, source } = await pictureToPlanes(await red(20, 20).png().toBuffer(), format);
    expect(source).toEqual({ width: 20, height: 20 });
    for (const [plane, value] of [50, 100, 200].entries()) {
      expect(rows(bytes, plane)).toEqual(Array.from({ length: 4 }, () => [7, 7, value, value, value, value, 7, 7]));
    }
  });

  test('top left, and stretched', async () => {
    const png = await red(20, 20).png().toBuffer();
    const topLeft = await pictureToPlanes(png, { ...format, fit: 'letterbox-top-left', pixels: 'rgb-planar' });
    expect(rows(topLeft.bytes, 0)[3]).toEqual([200, 200, 200, 200, 7, 7, 7, 7]);
    const stretched = await pictureToPlanes(png, { ...format, fit: 'stretch' });
    expect(rows(stretched.bytes, 2)[0]).toEqual(Array(8).fill(200));
  });

  test('a picture taken sideways is turned upright', async () => {
    const jpeg = await red(40, 20).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { source, bytes } = await pictureToPlanes(jpeg, format);
    expect(source).toEqual({ width: 20, height: 40 });
    expect(rows(bytes, 2)[0]?.map((value) => value === 7)).toEqual([true, true, true, false, false, true, true, true]);
  });

  test('one pixel, grey, transparent: all are pictures', async () => {
    const pixel = await pictureToPlanes(await red(1, 1).png().toBuffer(), format);
    expect(rows(pixel.bytes, 0)[0]).toEqual([7, 7, 50, 50, 50, 50, 7, 7]);
    const line = await pictureToPlanes(await red(3000, 1).png().toBuffer(), format);
    expect(line.bytes.filter((value) => value === 50)).toHaveLength(8);
    const grey = await red(20, 20).greyscale().png().toBuffer();
    expect(new Set((await pictureToPlanes(grey, { ...format, fit: 'stretch' })).bytes).size).toBe(1);
    const clear = sharp({
      create: { width: 9, height: 9, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 0 } },
    });
    const { bytes } = await pictureToPlanes(await clear.png().toBuffer(), { ...format, fit: 'stretch' });
    expect(new Set(bytes)).toEqual(new Set([0]));
  });

  test('empty, no picture, cut short', async () => {
    const noise = await sharp({
      create: {
        width: 300,
        height: 300,
        channels: 3,
        background: '#888',
        noise: { type: 'gaussian', mean: 128, sigma: 60 },
      },
    })
      .jpeg()
      .toBuffer();
    for (const bad of [
      Buffer.alloc(0),
      Buffer.from('not a picture'),
      noise.subarray(0, noise.length / 2),
      noise.subarray(0, 30),
    ]) {
      await expect(pictureToPlanes(bad, format)).rejects.toMatchObject({ code: 'picture-unreadable' });
    }
  });

  test('without any pixel, and with far too many', async () => {
    const svg = (size: string): Buffer => Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${size}/>`);
    await expect(pictureToPlanes(svg('width="0" height="0"'), format)).rejects.toMatchObject({
      code: 'picture-unreadable',
    });
    const bomb = await red(9000, 9000).png({ compressionLevel: 9 }).toBuffer();
    expect(bomb.length).toBeLessThan(1_000_000);
    await expect(pictureToPlanes(bomb, format)).rejects.toMatchObject({ code: 'picture-too-large' });
  });
});

test('differences between what is found and what is golden are named', () => {
  const person = { label: 'person', score: 0.8, box: [0.1, 0.1, 0.3, 0.5] } as const;
  const nearly = { label: 'person', score: 0.78, box: [0.1, 0.1, 0.3, 0.51] } as const;
  expect(differencesOf([person], [nearly])).toEqual([]);
  expect(differencesOf([person], [{ ...nearly, label: 'dog' }])).toHaveLength(1);
  expect(differencesOf([person], [{ ...nearly, score: 0.5 }])).toEqual([
    'missing: person 0.80 at 0.10, 0.10, 0.30, 0.50',
  ]);
  expect(differencesOf([person], [nearly, { ...person, score: 0.9, box: [0.6, 0.1, 0.9, 0.5] }])).toEqual([
    'unexpected: person 0.90 at 0.60, 0.10, 0.90, 0.50',
  ]);
});

const places = { searchPath: [testData('models')] };

describeWith('with the weights of yolox-nano', [needsData('models', 'yolox_nano_416.onnx')], () => {
  test('the golden picture gives the golden detections', async () => {
    const verified = await verifyModel(await resolveModel('yolox-nano', { ...places, cacheDir: folder }));
    expect(verified).toMatchObject({ picture: 'golden', differences: [] });
  });

  test('in a thread of its own as well, and twice the same', async () => {
    const opened = await resolveModel('yolox-nano', { ...places, cacheDir: folder });
    const jpeg = readFileSync(join(import.meta.dirname, '../../models/golden/street.jpg'));
    await using remote = await RemoteDetector.open({ model: opened, threads: 1, labels: [] });
    const people = await remote.findPeople(jpeg);
    expect(people.length).toBeGreaterThanOrEqual(9);
    expect(await remote.findPeople(jpeg)).toEqual(people);
  });

  test('opened before it is asked for, it is the one that was prepared, or else the one that is wanted', async () => {
    const opened = await resolveModel('yolox-nano', { ...places, cacheDir: folder });
    const jpeg = readFileSync(join(import.meta.dirname, '../../models/golden/street.jpg'));
    for (const labels of [[], ['bicycle']]) {
      const early = new EarlyDetector();
      early.prepare({ model: opened, threads: 1, labels: [] });
      await using detector = await early.open({ model: opened, threads: 1, labels });
      expect(detector.labels).toEqual(labels);
      expect((await detector.findPeople(jpeg)).length).toBeGreaterThanOrEqual(9);
    }
  });

  test('damaged, it is refused where it is opened, not where it is prepared', async () => {
    const { manifest } = await readManifest('yolox-nano');
    const data = {
      model: { manifest, labels: labelsOf(manifest), weightsPath: '/nowhere.onnx' },
      threads: 1,
      labels: [],
    };
    const early = new EarlyDetector();
    early.prepare(data);
    await expect(early.open(data)).rejects.toMatchObject({ code: 'model-missing' });
  });

  test('truncated, it is refused', async () => {
    const { manifest } = await readManifest('yolox-nano');
    const weightsPath = join(folder, 'cut.onnx');
    copyFileSync(testData('models', 'yolox_nano_416.onnx'), weightsPath);
    truncateSync(weightsPath, 2_000_000);
    expect(await openCode({ manifest, labels: labelsOf(manifest), weightsPath })).toMatchObject({
      code: 'model-damaged',
      message: expect.stringContaining('truncated') as string,
    });
    // The same without a length to compare with: the runtime refuses it.
    const trusting = manifestSchema.parse({ ...manifest, weights: { file: 'cut.onnx' } });
    expect(await openCode({ manifest: trusting, labels: labelsOf(trusting), weightsPath })).toMatchObject({
      code: 'model-damaged',
    });
  });

  test('another model’s head is refused with expected and found', async () => {
    const { manifest } = await readManifest('yolox-nano');
    const wrong = manifestSchema.parse({ ...manifest, head: 'nanodet' });
    const weightsPath = testData('models', 'yolox_nano_416.onnx');
    const refused = await openCode({ manifest: wrong, labels: labelsOf(wrong), weightsPath });
    expect(refused).toMatchObject({ code: 'model-mismatch' });
    expect(refused.message).toContain('found output 1x3549x85');
  });

  test('leaves no telemetry, nor anything else, in the home and working folder', () => {
    const script = `
      const { openSession } = await import(${JSON.stringify(new URL('session.ts', import.meta.url).href)});
      const { resolveModel } = await import(${JSON.stringify(new URL('../../models/registry.ts', import.meta.url).href)});
      await using session = await openSession(await resolveModel('yolox-nano'), { threads: 1 });
      await session.run(new Float32Array(3 * 416 * 416));
      process.stdout.write('ran');`;
    const { PATH = '' } = process.env;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH, HOME: folder, TMPDIR: folder, OUTPOST_MODELS: testData('models') },
    });
    expect(ran).toMatchObject({ stdout: 'ran', status: 0 });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describeWith('a user’s own model', [needsData('models', 'nanodet_m_320.onnx'), needsData('voc')], () => {
  test('works with the manifest that the README shows', async () => {
    const readme = readFileSync(join(import.meta.dirname, '../../models/README.md'), 'utf8');
    const manifest = /```json\n(.*?)```/s.exec(readme)?.[1] ?? '';
    expect(manifest.trim().split('\n').length).toBeLessThanOrEqual(25);
    writeFileSync(join(folder, 'manifest.json'), manifest);
    copyFileSync(testData('models', 'nanodet_m_320.onnx'), join(folder, 'nanodet_m_320.onnx'));
    const own = await resolveModel(folder);
    await using session = await openSession(own, { threads: 1 });
    const picture = readFileSync(testData('voc', '2007_000129.jpg'));
    const { bytes, source } = await pictureToPlanes(picture, frameFormat(own.manifest));
    const { detections } = await new Detector(session, own).detect(bytes, source, { minScore: 0.4 });
    expect(detections.map(({ label }) => label)).toEqual(expect.arrayContaining(['person', 'bicycle']));
    expect(await verifyModel(own)).toMatchObject({ picture: 'grey', differences: [] });
    expect(existsSync(own.weightsPath)).toBe(true);
  });
});

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { cocoLabels } from './coco.ts';
import { manifestSchema } from './manifest.ts';
import { frameFormat, labelsOf } from './model.ts';
import { isModelName, modelNames, parseManifest, readManifest, resolveModel } from './registry.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-models-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** About twenty lines: what a user writes. */
const own = {
  name: 'mine',
  title: 'A model of my own',
  task: 'detection',
  head: 'yolox',
  weights: { file: 'mine.onnx' },
  input: { name: 'images', width: 416, height: 416, colour: 'rgb', fit: 'letterbox-top-left' },
  labels: ['person', 'helmet'],
  thresholds: { low: 0.1, high: 0.4, birth: 0.5 },
  licence: { weights: 'Proprietary', notice: 'Mine.' },
};

const write = (manifest: unknown): string => {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return path;
};

describe('the models that Outpost knows', () => {
  test('are the folders with a manifest, each under its own name', async () => {
    const folders = readdirSync(import.meta.dirname).filter((name) => {
      const path = join(import.meta.dirname, name);
      return statSync(path).isDirectory() && readdirSync(path).includes('manifest.json');
    });
    expect([...modelNames].sort()).toEqual(folders.sort());
    for (const name of modelNames) expect((await readManifest(name)).manifest.name).toBe(name);
  });

  test.each(modelNames)('%s can be checked, and says where it is from and under which licence', async (name) => {
    const { manifest } = await readManifest(name);
    expect(manifest.weights.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(manifest.weights.bytes).toBeGreaterThan(1_000_000);
    expect(manifest.weights.sources.length).toBeGreaterThan(0);
    expect(manifest.licence.weights).toBe('Apache-2.0');
    expect(labelsOf(manifest)).toBe(cocoLabels);
    expect(manifest.thresholds.low).toBeLessThan(manifest.thresholds.high);
  });

  test('COCO has 80 labels, all different, in its order', () => {
    expect(new Set(cocoLabels).size).toBe(80);
    expect([cocoLabels[0], cocoLabels[2], cocoLabels[7], cocoLabels[79]]).toEqual([
      'person',
      'car',
      'truck',
      'toothbrush',
    ]);
  });

  test('the frame format is what the model was trained with', async () => {
    expect(frameFormat((await readManifest('yolox-nano')).manifest)).toEqual({
      width: 416,
      height: 416,
      pixels: 'bgr-planar',
      fit: 'letterbox-top-left',
      padding: 114,
    });
    expect(frameFormat((await readManifest('nanodet-g')).manifest)).toMatchObject({
      fit: 'letterbox-centre',
      padding: 0,
    });
  });
});

describe('a model of one’s own', () => {
  test('is a folder, or any file in it', async () => {
    const path = write(own);
    writeFileSync(join(folder, 'mine.onnx'), 'weights');
    for (const name of [folder, path]) {
      const model = await resolveModel(name);
      expect(model.weightsPath).toBe(join(folder, 'mine.onnx'));
      expect(model.labels).toEqual(['person', 'helmet']);
    }
  });

  test('without its weights is refused, with the path that was looked at', async () => {
    write(own);
    await expect(resolveModel(folder)).rejects.toMatchObject({
      code: 'model-missing',
      message: expect.stringContaining(join(folder, 'mine.onnx')) as string,
    });
  });

  test('does not take weights of the same file name out of the cache', async () => {
    write(own);
    const cacheDir = join(folder, 'cache');
    mkdirSync(cacheDir);
    writeFileSync(join(cacheDir, 'mine.onnx'), 'of something else');
    await expect(resolveModel(folder, { cacheDir })).rejects.toMatchObject({ code: 'model-missing' });
  });

  test('an unknown name lists the known ones', async () => {
    await expect(resolveModel('yolo-nano')).rejects.toMatchObject({
      code: 'model-unknown',
      hint: expect.stringContaining('yolox-nano, nanodet-g') as string,
    });
    expect(isModelName('yolo-nano')).toBe(false);
  });

  test.each([
    ['an unknown key', { ...own, colour: 'rgb' }, /colour/],
    ['a key in the wrong place', { ...own, input: { ...own.input, stride: 8 } }, /stride/],
    ['no such head', { ...own, head: 'yolov3' }, /head/],
    ['a hash that is none', { ...own, weights: { file: 'a.onnx', sha256: 'abc' } }, /64 hexadecimal digits/],
    ['a threshold above 1', { ...own, thresholds: { low: 0.1, high: 40, birth: 0.5 } }, /thresholds\.high/],
    ['no labels', { ...own, labels: [] }, /labels/],
    ['a weights file outside its folder', { ...own, weights: { file: '../../etc/x.onnx' } }, /weights\.file/],
    ['a division by zero', { ...own, input: { ...own.input, std: [1, 0, 1] } }, /input\.std/],
    ['a size that the strides do not divide', { ...own, input: { ...own.input, width: 417 } }, /input\.width/],
    [
      'http without TLS',
      { ...own, weights: { file: 'a.onnx', sources: [{ kind: 'https', url: 'http://a/b' }] } },
      /url/,
    ],
    ['no JSON', '{"name":', /JSON/],
    ['nothing', '', /JSON/],
  ])('%s is refused, naming it', async (_what, manifest, message) => {
    await expect(parseManifest(write(manifest))).rejects.toMatchObject({
      code: 'manifest-invalid',
      message: expect.stringMatching(message) as string,
    });
  });

  test('a folder without a manifest says so', async () => {
    await expect(resolveModel(folder)).rejects.toMatchObject({ code: 'manifest-invalid' });
  });

  test('defaults fill what most models share', () => {
    const manifest = manifestSchema.parse(own);
    expect(manifest.strides).toEqual([8, 16, 32]);
    expect(manifest.input.mean).toEqual([0, 0, 0]);
  });
});

describeWith('weights on the search path', [needsData('models', 'yolox_nano_416.onnx')], () => {
  test('are found by their hash, whatever their name', async () => {
    const model = await resolveModel('yolox-nano', { cacheDir: folder, searchPath: [testData('models')] });
    expect(model.weightsPath).toBe(testData('models', 'yolox_nano_416.onnx'));
  });

  test('of another model are not taken', async () => {
    await expect(
      resolveModel('nanodet-g', { cacheDir: folder, searchPath: [testData('models'), join(folder, 'absent')] }),
    ).rejects.toMatchObject({
      code: 'model-missing',
      hint: expect.stringContaining('models pull nanodet-g') as string,
    });
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Manifest, manifestSchema } from '../manifest.ts';
import type { Candidate, Tensor } from '../model.ts';
import { modelFolder, modelNames, parseManifest } from '../registry.ts';
import { nonMaximumSuppression } from './nms.ts';
import { heads } from './registry.ts';

interface GoldenHead {
  readonly minScore: number;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly rows: readonly { readonly output: string; readonly row: number; readonly values: string }[];
  readonly candidates: readonly Candidate[];
}

const empty = (dims: readonly number[]): Tensor => ({
  dims,
  data: new Float32Array(dims.reduce((product, size) => product * size, 1)),
});

function tensorsOf({ outputs, rows }: GoldenHead): Record<string, Tensor> {
  const tensors = Object.fromEntries(Object.entries(outputs).map(([name, dims]) => [name, empty(dims)]));
  for (const { output, row, values } of rows) {
    const bytes = Uint8Array.from(Buffer.from(values, 'base64'));
    tensors[output]?.data.set(new Float32Array(bytes.buffer), row * (tensors[output].dims[2] ?? 0));
  }
  return tensors;
}

/** A small model: 2 x 1 cells of stride 32, one label or as many as asked for. */
const small = (head: 'yolox' | 'nanodet', labels = ['person', 'car']): Manifest =>
  manifestSchema.parse({
    name: 'small',
    title: 'small',
    task: 'detection',
    head,
    weights: { file: 'small.onnx' },
    input: { name: 'x', width: 64, height: 32, colour: 'rgb', fit: 'stretch' },
    strides: [32],
    labels,
    thresholds: { low: 0.1, high: 0.3, birth: 0.4 },
    licence: { weights: 'none', notice: 'none' },
  });

describe('golden rows', () => {
  test.each(modelNames)('of %s become the candidates that numpy finds', async (name) => {
    const manifest = await parseManifest(join(modelFolder(name), 'manifest.json'));
    const golden = JSON.parse(readFileSync(join(modelFolder(name), 'golden', 'head.json'), 'utf8')) as GoldenHead;
    const head = heads[manifest.head];
    expect(head.check(golden.outputs, manifest)).toBeUndefined();
    const candidates = head.decode(tensorsOf(golden), manifest, golden.minScore);
    expect(golden.candidates.length).toBeGreaterThan(20);
    expect(candidates).toHaveLength(golden.candidates.length);
    for (const [index, expected] of golden.candidates.entries()) {
      const found = candidates[index];
      expect(found?.label).toBe(expected.label);
      for (const key of ['score', 'x1', 'y1', 'x2', 'y2'] as const) expect(found?.[key]).toBeCloseTo(expected[key], 3);
    }
  });
});

describe('yolox', () => {
  const { yolox } = heads;
  const manifest = small('yolox');

  test('by hand: the second cell, its centre in the middle, 32 x 64 pixels', () => {
    const output = empty([1, 2, 7]);
    output.data.set([0.5, 0.5, 0, Math.log(2), 0.9, 0.1, 0.8], 7);
    expect(yolox.decode({ output }, manifest, 0.5)).toEqual([
      {
        label: 1,
        score: expect.closeTo(0.72, 5) as number,
        x1: 32,
        y1: expect.closeTo(-16, 4) as number,
        x2: 64,
        y2: expect.closeTo(48, 4) as number,
      },
    ]);
  });

  test.each([
    [{ output: [1, 2, 85] }, 'output output is expected as 1x2x7, found 1x2x85'],
    [{ output: [1, 3549, 7] }, 'output output is expected as 1x2x7, found 1x3549x7'],
    [{ output: [2, 7] }, 'output output is expected as 1x2x7, found 2x7'],
    [{}, 'one output is expected, found 0'],
    [{ a: [1, 2, 7], b: [1, 2, 7] }, 'one output is expected, found 2'],
  ])('%j does not fit, and why is said', (outputs, message) => {
    expect(yolox.check(outputs, manifest)).toBe(message);
  });

  test('whatever the numbers, every candidate reaches the score', () => {
    const anything = fc.array(fc.float(), { minLength: 14, maxLength: 14 });
    fc.assert(
      fc.property(anything, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, minScore) => {
        const output: Tensor = { dims: [1, 2, 7], data: Float32Array.from(values) };
        for (const { score, label } of yolox.decode({ output }, manifest, minScore)) {
          expect(score).toBeGreaterThanOrEqual(minScore);
          expect([0, 1]).toContain(label);
        }
      }),
    );
  });
});

describe('nanodet', () => {
  const { nanodet } = heads;
  const manifest = small('nanodet');

  test('by hand: even bins mean the middle distance', () => {
    const scores = empty([1, 2, 2]);
    scores.data.set([0.7, 0.2], 2);
    const distances = empty([1, 2, 12]);
    expect(nanodet.decode({ distances, scores }, manifest, 0.5)).toEqual([
      { label: 0, score: expect.closeTo(0.7, 5) as number, x1: 16, y1: -16, x2: 80, y2: 48 },
    ]);
  });

  test('a sure bin is that distance, and huge numbers stay numbers', () => {
    const scores = empty([1, 2, 2]);
    scores.data.set([0, 1]);
    const distances = empty([1, 2, 12]);
    distances.data.set([0, 1e30, 0, 1e30, 0, 0, 0, 0, 1e30, 1e30, 0, 0]);
    expect(nanodet.decode({ scores, distances }, manifest, 0.5)).toEqual([
      { label: 1, score: 1, x1: -16, y1: 16, x2: 80, y2: 16 },
    ]);
  });

  test('as many labels as values of a distance are told apart by their order', () => {
    const labels = Array.from({ length: 8 }, (_label, index) => `label ${index}`);
    const outputs = { scores: [1, 2, 8], distances: [1, 2, 8] };
    expect(nanodet.check(outputs, small('nanodet', labels))).toBeUndefined();
  });

  test.each([
    [{ scores: [1, 2, 2] }, /stride 32 is expected as scores 1x2x2 and distances 1x2x\(4 x bins\), found scores 1x2x2/],
    [{ scores: [1, 2, 80], distances: [1, 2, 12] }, /stride 32 is expected/],
    [{ scores: [1, 2, 2], distances: [1, 2, 13] }, /four sides/],
    [{ scores: [1, 2, 2], distances: [1, 2, 4] }, /four sides/],
    [{ scores: [3, 2, 2], distances: [1, 2, 12] }, /scores is expected as 1x2x2, found 3x2x2/],
    [{ output: [1, 2100, 84] }, /found output 1x2100x84/],
    [{}, /found none/],
  ])('%j does not fit, and why is said', (outputs, message) => {
    expect(nanodet.check(outputs as Record<string, readonly number[]>, manifest)).toMatch(message);
  });
});

describe('non-maximum suppression', () => {
  const box = (score: number, x: number, label = 0): Candidate => ({ label, score, x1: x, y1: 0, x2: x + 10, y2: 10 });

  test('the surest of what overlaps stays; other labels are other things', () => {
    const kept = nonMaximumSuppression([box(0.5, 0), box(0.9, 1), box(0.8, 1, 1), box(0.4, 30)], 0.5);
    expect(kept.map(({ score }) => score)).toEqual([0.9, 0.8, 0.4]);
  });

  test('a third of overlap is not a half', () => {
    // 5 of 15 columns are shared: IoU 1/3.
    expect(nonMaximumSuppression([box(0.9, 0), box(0.8, 5)], 0.34)).toHaveLength(2);
    expect(nonMaximumSuppression([box(0.9, 0), box(0.8, 5)], 0.33)).toHaveLength(1);
  });

  test('nothing kept overlaps; what is kept is kept again; the order of the input does not matter', () => {
    const candidates = fc.uniqueArray(
      fc.record({
        score: fc.double({ min: 0.01, max: 1, noNaN: true }),
        x: fc.integer({ min: 0, max: 60 }),
        label: fc.nat(1),
      }),
      { selector: ({ score }) => score, maxLength: 30 },
    );
    fc.assert(
      fc.property(candidates, (drawn) => {
        const all = drawn.map(({ score, x, label }) => box(score, x, label));
        const kept = nonMaximumSuppression(all, 0.5);
        expect(nonMaximumSuppression(kept, 0.5)).toEqual(kept);
        expect(nonMaximumSuppression(all.toReversed(), 0.5)).toEqual(kept);
        for (const a of kept) {
          for (const b of kept) {
            if (a === b || a.label !== b.label) continue;
            const shared = Math.max(0, 10 - Math.abs(a.x1 - b.x1));
            expect(shared / (20 - shared)).toBeLessThanOrEqual(0.5);
          }
        }
      }),
    );
  });

  test('a flood is cut, the surest first', () => {
    const flood = Array.from({ length: 5000 }, (_candidate, index) => box(index / 5000, index * 20));
    const kept = nonMaximumSuppression(flood, 0.5);
    expect(kept).toHaveLength(3000);
    expect(kept[0]?.score).toBeCloseTo(0.9998);
  });
});

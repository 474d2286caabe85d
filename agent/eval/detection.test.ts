import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Box } from '#agent/domain/box.ts';
import { type JudgedPicture, averagePrecision, evaluateClass, judge, meanAveragePrecision } from './detection.ts';
import { maxVocBytes, parseVoc } from './detection-voc.ts';

const verdicts = (...marks: readonly string[]): { score: number; correct: boolean }[] =>
  marks.map((mark, index) => ({ score: 1 - index / 100, correct: mark === 'right' }));

describe('average precision by hand', () => {
  test.each([
    // Everything right, everything found.
    [['right', 'right'], 2, 1],
    // Half found, and nothing wrong.
    [['right'], 2, 0.5],
    // A mistake behind the last find costs nothing.
    [['right', 'right', 'wrong'], 2, 1],
    // Precision 1/2 at the first recall, 2/3 at the second: the envelope is 2/3 for both.
    [['wrong', 'right', 'right'], 2, 2 / 3],
    // 1 up to recall 1/2, then 2/3.
    [['right', 'wrong', 'right'], 2, 1 / 2 + (1 / 2) * (2 / 3)],
    // Recalls 1/4, 2/4, 3/4 with precisions 1, 2/3, 3/5.
    [['right', 'wrong', 'right', 'wrong', 'right'], 4, (1 + 2 / 3 + 3 / 5) / 4],
    [['wrong', 'wrong'], 3, 0],
    [[], 3, 0],
  ])('%j of %i objects: %f', (marks, objects, expected) => {
    expect(averagePrecision(verdicts(...marks), objects)).toBeCloseTo(expected, 12);
  });

  test('without objects there is none', () => {
    expect(averagePrecision(verdicts('wrong'), 0)).toBeUndefined();
    expect(meanAveragePrecision([])).toBeUndefined();
  });

  test('the order of the input does not matter; a sure mistake never helps; it stays within 0 and 1', () => {
    const drawn = fc.uniqueArray(
      fc.record({ score: fc.double({ min: 0.01, max: 0.99, noNaN: true }), correct: fc.boolean() }),
      { selector: ({ score }) => score },
    );
    fc.assert(
      fc.property(drawn, fc.nat(5), (all, missed) => {
        const objects = all.filter(({ correct }) => correct).length + missed + 1;
        const value = averagePrecision(all, objects) ?? -1;
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
        expect(averagePrecision(all.toReversed(), objects)).toBeCloseTo(value, 12);
        expect(averagePrecision([{ score: 1, correct: false }, ...all], objects)).toBeLessThanOrEqual(value + 1e-12);
      }),
    );
  });
});

const at = (x: number): Box => [x, 0.2, x + 0.2, 0.4];
const found = (score: number, x: number, label = 'person') => ({ label, score, box: at(x) });
const there = (x: number, difficult = false, label = 'person') => ({ label, box: at(x), difficult });

describe('matching', () => {
  const marks = (picture: JudgedPicture): boolean[] => judge(picture, 0.5).map(({ correct }) => correct);

  test('the surest takes the object, a second one on it is wrong', () => {
    expect(marks({ detections: [found(0.5, 0.01), found(0.9, 0.03)], truth: [there(0)] })).toEqual([true, false]);
    expect(judge({ detections: [found(0.5, 0.01), found(0.9, 0.03)], truth: [there(0)] }, 0.5)[0]?.score).toBe(0.9);
  });

  test('a third of overlap is wrong, at exactly a half it is right', () => {
    // Shifted by half its width: IoU 1/3; by a third: 1/2.
    expect(marks({ detections: [found(0.9, 0.1)], truth: [there(0)] })).toEqual([false]);
    expect(judge({ detections: [found(0.9, 0.0666)], truth: [there(0)] }, 0.5)[0]?.correct).toBe(true);
  });

  test('difficult objects count neither way', () => {
    expect(marks({ detections: [found(0.9, 0), found(0.8, 0.01)], truth: [there(0, true)] })).toEqual([]);
    const result = evaluateClass([{ detections: [], truth: [there(0, true), there(0.5)] }], {
      name: 'p',
      labels: ['person'],
    });
    expect(result).toEqual({ name: 'p', objects: 1, detections: 0, averagePrecision: 0 });
  });

  test('boxes are cut at the picture’s edge first', () => {
    const detections = [{ label: 'person', score: 0.9, box: [-0.4, 0.2, 0.2, 0.4] as const }];
    expect(marks({ detections, truth: [there(0)] })).toEqual([true]);
  });

  test('labels that count as one are found as each other; other labels are left out', () => {
    const pictures = [
      { detections: [found(0.9, 0, 'bus'), found(0.99, 0.5, 'person')], truth: [there(0, false, 'car')] },
      { detections: [found(0.8, 0.5, 'car')], truth: [there(0, false, 'bus')] },
    ];
    const group = evaluateClass(pictures, { name: 'vehicle', labels: ['car', 'bus'] });
    expect(group).toEqual({ name: 'vehicle', objects: 2, detections: 2, averagePrecision: 0.5 });
    expect(evaluateClass(pictures, { name: 'car', labels: ['car'] }).averagePrecision).toBe(0);
  });
});

describe('Pascal VOC', () => {
  const object = (name: string, more = ''): string =>
    `<object><name>${name}</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>1</ymin><xmax>20</xmax><ymax>50</ymax></bndbox>${more}</object>`;
  const annotation = (objects: string, size = '<width>100</width><height>50</height>'): string =>
    `<annotation>\n<size>${size}</size>${objects}</annotation>`;

  test('pixels are counted from 1, and the last one belongs to the box', () => {
    expect(parseVoc(annotation(object('person')))).toEqual([
      { label: 'person', box: [0.1, 0, 0.2, 1], difficult: false },
    ]);
  });

  test('names are COCO’s where they differ', () => {
    const names = ['aeroplane', 'motorbike', 'sofa', 'tvmonitor', 'diningtable', 'pottedplant', 'car'];
    const objects = parseVoc(annotation(names.map((name) => object(name)).join('')));
    expect(typeof objects === 'string' ? objects : objects.map(({ label }) => label)).toEqual([
      'airplane',
      'motorcycle',
      'couch',
      'tv',
      'dining table',
      'potted plant',
      'car',
    ]);
  });

  test('parts of a person are not the person; difficult is difficult', () => {
    const part =
      '<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>';
    expect(parseVoc(annotation(object('person', part)))).toHaveLength(1);
    const difficult = object('person').replace('<difficult>0', '<difficult>1');
    expect(parseVoc(annotation(difficult))).toMatchObject([{ difficult: true }]);
    expect(parseVoc(annotation(''))).toEqual([]);
  });

  test.each([
    ['not XML', 'hello', /annotation/],
    ['no size', '<annotation></annotation>', /size/],
    ['an empty picture', annotation('', '<width>0</width><height>5</height>'), /no area/],
    ['a size that is no number', annotation('', '<width>a</width><height>5</height>'), /no area/],
    ['an object without a name', annotation('<object></object>'), /object 1.*name/],
    ['an object without a box', annotation('<object><name>a</name></object>'), /object 1.*lacks/],
    ['a box turned over', annotation(object('a').replace('<xmax>20', '<xmax>5')), /object 1.*empty/],
    ['endless text', `<annotation>${'x'.repeat(maxVocBytes)}`, /characters/],
  ])('%s is said', (_what, text, message) => {
    expect(parseVoc(text)).toMatch(message);
  });

  test('no text makes it throw', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseVoc(`<annotation>${text}`)));
  });
});

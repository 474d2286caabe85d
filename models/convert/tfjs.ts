/**
 * A TensorFlow.js graph model as it lies on disk: model.json with the graph and a list of weights, and their bytes.
 *
 *   model.json + weights --> TfGraph: nodes by name, weights by name (float weights as the 16-bit halves that they are)
 */
import { z } from 'zod';
import { OutpostError, messageOf } from '#agent/core/errors.ts';

const integer = z.coerce.number().pipe(z.int());
const attributeSchema = z.looseObject({
  s: z.string().optional(),
  f: z.number().optional(),
  b: z.boolean().optional(),
  list: z.looseObject({ i: z.array(integer).optional() }).optional(),
  shape: z.looseObject({ dim: z.array(z.looseObject({ size: integer })).optional() }).optional(),
});
const nodeSchema = z.looseObject({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(z.string(), attributeSchema).default({}),
});
const weightSchema = z.looseObject({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  quantization: z.looseObject({ dtype: z.string() }).optional(),
});
const tensorInfoSchema = z.looseObject({
  tensorShape: z.looseObject({ dim: z.array(z.looseObject({ size: integer })) }),
});
const modelSchema = z.looseObject({
  signature: z.looseObject({ outputs: z.record(z.string(), tensorInfoSchema) }),
  modelTopology: z.looseObject({ node: z.array(nodeSchema) }),
  weightsManifest: z.array(z.looseObject({ paths: z.array(z.string()), weights: z.array(weightSchema) })).length(1),
});

export type TfNode = z.infer<typeof nodeSchema>;

/** IEEE 754 binary16, as bits. */
export interface HalfWeight {
  readonly kind: 'half';
  readonly dims: readonly number[];
  readonly bits: Uint16Array;
}
export interface IntWeight {
  readonly kind: 'int';
  readonly dims: readonly number[];
  readonly values: Int32Array;
}
export type TfWeight = HalfWeight | IntWeight;

export interface TfGraph {
  readonly nodes: ReadonlyMap<string, TfNode>;
  readonly weights: ReadonlyMap<string, TfWeight>;
  /** Shapes by the name of the output. */
  readonly outputs: ReadonlyMap<string, readonly number[]>;
}

/** @throws OutpostError `convert-failed` */
export function parseTfjs(json: Uint8Array, weightBytes: Uint8Array): TfGraph {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(json).toString('utf8'));
  } catch (cause) {
    throw new OutpostError('convert-failed', `The graph is not JSON: ${messageOf(cause)}`, { cause });
  }
  const result = modelSchema.safeParse(parsed);
  if (!result.success) {
    throw new OutpostError('convert-failed', `This is not a TensorFlow.js graph:\n${z.prettifyError(result.error)}`);
  }
  const { modelTopology, weightsManifest, signature } = result.data;
  return {
    nodes: new Map(modelTopology.node.map((node) => [node.name, node])),
    weights: readWeights(weightsManifest[0]?.weights ?? [], weightBytes),
    outputs: new Map(
      Object.entries(signature.outputs).map(([name, { tensorShape }]) => [
        name.replace(/:0$/, ''),
        tensorShape.dim.map(({ size }) => size),
      ]),
    ),
  };
}

/** Weights lie one after the other, in the order of the list, little endian. */
function readWeights(list: readonly z.infer<typeof weightSchema>[], bytes: Uint8Array): Map<string, TfWeight> {
  const weights = new Map<string, TfWeight>();
  let offset = 0;
  for (const { name, dtype, shape: dims, quantization } of list) {
    const count = dims.reduce((product, size) => product * size, 1);
    const isHalf = quantization?.dtype === 'float16';
    if (!isHalf && (dtype !== 'int32' || quantization)) {
      throw new OutpostError(
        'convert-failed',
        `Weight ${name} is ${quantization?.dtype ?? dtype}, not float16 or int32.`,
      );
    }
    const end = offset + count * (isHalf ? 2 : 4);
    if (end > bytes.length) throw new OutpostError('convert-failed', `The weights end before ${name}.`);
    const { buffer } = new Uint8Array(bytes.subarray(offset, end));
    weights.set(
      name,
      isHalf
        ? { kind: 'half', dims, bits: new Uint16Array(buffer) }
        : { kind: 'int', dims, values: new Int32Array(buffer) },
    );
    offset = end;
  }
  if (offset !== bytes.length) {
    throw new OutpostError('convert-failed', `The weights have ${bytes.length} bytes; the graph names ${offset}.`);
  }
  return weights;
}

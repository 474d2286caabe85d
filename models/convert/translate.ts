/**
 * TensorFlow.js operators as ONNX operators, for the ones that a NanoDet exported through onnx-tf consists of.
 *
 *   outputs --asked for by name, inputs first--> one translation an operator --> OnnxGraph
 *
 * TensorFlow's convolutions see N x H x W x C, ONNX's N x C x H x W. Every change of layout goes through `transpose`,
 * which takes away what undoes itself, so that hardly any is left.
 */
import { OutpostError } from '#agent/core/errors.ts';
import { type Attributes, OnnxGraph, type Value } from './onnx.ts';
import { composeOrders, isIdentity, permute } from './permute.ts';
import type { HalfWeight, TfGraph, TfNode, TfWeight } from './tfjs.ts';

const toChannelsFirst = [0, 3, 1, 2];
const toChannelsLast = [0, 2, 3, 1];
/** Height, width, in, out -> out, in, height, width. */
const kernelOrder = [3, 2, 0, 1];

const baseName = (input: string): string => input.replace(/^\^/, '').replace(/:\d+$/, '');

export class Translation {
  readonly onnx = new OnnxGraph();
  readonly #graph: TfGraph;
  readonly #inputName: string;
  readonly #values = new Map<string, Value>();
  readonly #transposed = new Map<Value, { readonly from: Value; readonly order: readonly number[] }>();
  readonly #zeroPadded = new Map<Value, { readonly from: Value; readonly pads: readonly number[] }>();
  readonly #consumers = new Map<string, number>();

  constructor(graph: TfGraph, inputName: string) {
    this.#graph = graph;
    this.#inputName = inputName;
    for (const { input } of graph.nodes.values()) {
      for (const name of input.map(baseName)) this.#consumers.set(name, (this.#consumers.get(name) ?? 0) + 1);
    }
  }

  output(tfName: string, name: string): void {
    const dims = this.#graph.outputs.get(tfName);
    if (!dims) throw new OutpostError('convert-failed', `The graph has no output ${tfName}.`);
    this.onnx.output(this.#value(tfName), name, dims);
  }

  /** The tensor that a TensorFlow name such as `split:1` stands for. */
  #value(name: string): Value {
    const key = name.replace(/:0$/, '');
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const node = this.#node(name);
    const made = this.#translate(node);
    made.forEach((value, index) => this.#values.set(index === 0 ? node.name : `${node.name}:${index}`, value));
    const value = this.#values.get(key);
    if (value === undefined) throw new OutpostError('convert-failed', `${node.op} ${node.name} has no output ${name}.`);
    return value;
  }

  #node(name: string): TfNode {
    const node = this.#graph.nodes.get(baseName(name));
    if (!node) throw new OutpostError('convert-failed', `The graph names ${name}, which it does not have.`);
    return node;
  }

  #translate(node: TfNode): readonly Value[] {
    const { onnx } = this;
    const input = (index: number): Value => this.#value(this.#inputOf(node, index));
    const ints = (index: number): readonly number[] => this.#constantInts(this.#inputOf(node, index));
    switch (node.op) {
      case 'Placeholder':
        return [
          onnx.input(
            this.#inputName,
            (node.attr['shape']?.shape?.dim ?? []).map(({ size }) => size),
          ),
        ];
      case 'Const': {
        const weight = this.#weight(node.name);
        return [weight.kind === 'half' ? onnx.halves(weight.dims, weight.bits) : onnx.ints([...weight.values])];
      }
      case 'Identity':
        return [input(0)];
      case 'Sigmoid':
        return [onnx.node('Sigmoid', [input(0)])];
      case 'LeakyRelu':
        return [onnx.node('LeakyRelu', [input(0)], { alpha: { float: node.attr['alpha']?.f ?? 0.2 } })];
      case 'Add':
      case 'AddV2':
        return [this.#biasedConvolution(node) ?? onnx.node('Add', [input(0), input(1)])];
      case 'Conv2D':
        return [this.#convolution(node)];
      case 'MaxPool':
        return [this.#maxPool(node)];
      case 'Transpose':
        return [this.#transpose(input(0), ints(1))];
      case 'Reshape':
        return [onnx.node('Reshape', [input(0), onnx.ints(ints(1))])];
      case 'Pad':
        return [this.#zeroPad(input(0), padsOf(ints(1)))];
      case 'PadV2':
        return [onnx.node('Pad', [input(0), onnx.ints(padsOf(ints(1))), input(2)])];
      case 'ConcatV2': {
        const parts = node.input.slice(0, -1).map((name) => this.#value(name));
        return [onnx.node('Concat', parts, { axis: { int: ints(node.input.length - 1)[0] ?? 0 } })];
      }
      case 'SplitV': {
        const sizes = ints(1);
        return onnx.split('Split', [input(0), onnx.ints(sizes)], sizes.length, { axis: { int: ints(2)[0] ?? 0 } });
      }
      case 'ResizeBilinear':
        return [this.#resize(node, ints(1))];
      default:
        throw new OutpostError('convert-failed', `The operator ${node.op} (${node.name}) is not known here.`);
    }
  }

  #inputOf(node: TfNode, index: number): string {
    const name = node.input[index];
    if (name === undefined) throw new OutpostError('convert-failed', `${node.op} ${node.name} has no input ${index}.`);
    return name;
  }

  /** Convolution and the addition of its bias are one operator in ONNX. */
  #biasedConvolution(node: TfNode): Value | undefined {
    const convolution = this.#node(this.#inputOf(node, 0));
    const bias = this.#graph.weights.get(baseName(this.#inputOf(node, 1)));
    const isOnlyUse = this.#consumers.get(convolution.name) === 1;
    if (convolution.op !== 'Conv2D' || bias?.kind !== 'half' || bias.dims.length !== 1 || !isOnlyUse) return undefined;
    return this.#convolution(convolution, bias);
  }

  #convolution(node: TfNode, bias?: HalfWeight): Value {
    const weight = this.#weight(baseName(this.#inputOf(node, 1)));
    if (weight.kind !== 'half') throw new OutpostError('convert-failed', `The kernel of ${node.name} is not float16.`);
    const kernel = permute(weight.bits, weight.dims, kernelOrder);
    const { source, padding } = this.#withPadding(node);
    const inputs = [
      source,
      this.onnx.halves(kernel.dims, kernel.values),
      ...(bias ? [this.onnx.halves(bias.dims, bias.bits)] : []),
    ];
    const result = this.onnx.node('Conv', inputs, {
      ...padding,
      dilations: { ints: spatial(node, 'dilations') },
      kernel_shape: { ints: kernel.dims.slice(2) },
      strides: { ints: spatial(node, 'strides') },
    });
    return this.#transpose(result, toChannelsLast);
  }

  #zeroPad(from: Value, pads: readonly number[]): Value {
    const result = this.onnx.node('Pad', [from, this.onnx.ints(pads), this.onnx.float(0)]);
    this.#zeroPadded.set(result, { from, pads });
    return result;
  }

  /** A convolution pads with zeros by itself, without a copy of its input. */
  #withPadding(node: TfNode): { readonly source: Value; readonly padding: Attributes } {
    const source = this.#transpose(this.#value(this.#inputOf(node, 0)), toChannelsFirst);
    const auto = paddingOf(node);
    const padded = this.#zeroPadded.get(source);
    if (!padded || auto !== 'VALID') return { source, padding: { auto_pad: { string: auto } } };
    const [batch, channels, top = 0, left = 0, batchEnd, channelsEnd, bottom = 0, right = 0] = padded.pads;
    const isSpatial = [batch, channels, batchEnd, channelsEnd].every((pad) => pad === 0);
    if (padded.pads.length !== 8 || !isSpatial) return { source, padding: { auto_pad: { string: auto } } };
    return { source: padded.from, padding: { pads: { ints: [top, left, bottom, right] } } };
  }

  #maxPool(node: TfNode): Value {
    const first = this.#transpose(this.#value(this.#inputOf(node, 0)), toChannelsFirst);
    const pooled = this.onnx.node('MaxPool', [first], {
      auto_pad: { string: paddingOf(node) },
      kernel_shape: { ints: spatial(node, 'ksize') },
      strides: { ints: spatial(node, 'strides') },
    });
    return this.#transpose(pooled, toChannelsLast);
  }

  #resize(node: TfNode, size: readonly number[]): Value {
    const corners = node.attr['align_corners']?.b ? 'align_corners' : undefined;
    const centres = node.attr['half_pixel_centers']?.b ? 'half_pixel' : 'asymmetric';
    const first = this.#transpose(this.#value(this.#inputOf(node, 0)), toChannelsFirst);
    const resized = this.onnx.node('Resize', [first, '', '', this.onnx.ints(size)], {
      axes: { ints: [2, 3] },
      coordinate_transformation_mode: { string: corners ?? centres },
      mode: { string: 'linear' },
    });
    return this.#transpose(resized, toChannelsLast);
  }

  #transpose(value: Value, order: readonly number[]): Value {
    const before = this.#transposed.get(value);
    const from = before?.from ?? value;
    const whole = before ? composeOrders(before.order, order) : order;
    if (isIdentity(whole)) return from;
    const result = this.onnx.node('Transpose', [from], { perm: { ints: whole } });
    this.#transposed.set(result, { from, order: whole });
    return result;
  }

  #weight(name: string): TfWeight {
    const weight = this.#graph.weights.get(name);
    if (!weight) throw new OutpostError('convert-failed', `The weights of ${name} are not there.`);
    return weight;
  }

  /** Whole numbers that are known before the model runs: shapes, axes, paddings. */
  #constantInts(name: string): readonly number[] {
    const node = this.#node(name);
    const ints = (index: number): readonly number[] => this.#constantInts(this.#inputOf(node, index));
    switch (node.op) {
      case 'Const': {
        const weight = this.#weight(node.name);
        if (weight.kind === 'int') return [...weight.values];
        break;
      }
      case 'AddV2': {
        const [left, right] = [ints(0), ints(1)];
        return left.map((value, index) => value + (right[right.length === 1 ? 0 : index] ?? 0));
      }
      case 'SparseToDense': {
        const [indices, [size = 0], values, [fill = 0]] = [ints(0), ints(1), ints(2), ints(3)];
        const dense = Array.from({ length: size }, () => fill);
        indices.forEach((at, index) => (dense[at] = values[values.length === 1 ? 0 : index] ?? 0));
        return dense;
      }
    }
    throw new OutpostError('convert-failed', `${node.op} ${node.name} is not a constant of whole numbers.`);
  }
}

/** Pairs of before and after -> ONNX: all before, then all after. */
const padsOf = (pairs: readonly number[]): readonly number[] => [
  ...pairs.filter((_value, index) => index % 2 === 0),
  ...pairs.filter((_value, index) => index % 2 === 1),
];

/** Of an attribute of N x H x W x C, height and width. */
const spatial = (node: TfNode, name: string): readonly number[] =>
  (node.attr[name]?.list?.i ?? [1, 1, 1, 1]).slice(1, 3);

function paddingOf(node: TfNode): string {
  const padding = Buffer.from(node.attr['padding']?.s ?? '', 'base64').toString();
  if (padding === 'VALID') return 'VALID';
  if (padding === 'SAME') return 'SAME_UPPER';
  throw new OutpostError('convert-failed', `${node.op} ${node.name} pads by ${JSON.stringify(padding)}.`);
}

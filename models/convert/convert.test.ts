import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convertNanodet } from './nanodet.ts';
import { OnnxGraph } from './onnx.ts';
import { composeOrders, isIdentity, permute } from './permute.ts';
import { parseTfjs } from './tfjs.ts';
import { Translation } from './translate.ts';

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly half?: readonly number[];
  readonly int?: readonly number[];
}

/** model.json and the weights' bytes of a graph that ends in `out`. */
function tfjs(nodes: readonly object[], weights: readonly Weight[] = []): { json: Buffer; bytes: Buffer } {
  const parts = weights.map(({ half, int }) =>
    half ? Buffer.from(Uint16Array.from(half).buffer) : Buffer.from(Int32Array.from(int ?? []).buffer),
  );
  const list = weights.map(({ name, shape, half }) => ({
    name,
    shape,
    ...(half ? { dtype: 'float32', quantization: { dtype: 'float16' } } : { dtype: 'int32' }),
  }));
  const placeholder = {
    name: 'in',
    op: 'Placeholder',
    attr: { shape: { shape: { dim: [{ size: '1' }, { size: '2' }] } } },
  };
  const json = {
    signature: { outputs: { 'out:0': { tensorShape: { dim: [{ size: '1' }, { size: '2' }] } } } },
    modelTopology: { node: [placeholder, ...weights.map(({ name }) => ({ name, op: 'Const' })), ...nodes] },
    weightsManifest: [{ paths: ['weights.bin'], weights: list }],
  };
  return { json: Buffer.from(JSON.stringify(json)), bytes: Buffer.concat(parts) };
}

function translate({ json, bytes }: { json: Buffer; bytes: Buffer }): string {
  const translation = new Translation(parseTfjs(json, bytes), 'image');
  translation.output('out', 'answer');
  return Buffer.from(translation.onnx.encode('test')).toString('latin1');
}

describe('axes', () => {
  test('a matrix is turned', () => {
    const { dims, values } = permute(Uint16Array.of(1, 2, 3, 4, 5, 6), [2, 3], [1, 0]);
    expect([dims, [...values]]).toEqual([
      [3, 2],
      [1, 4, 2, 5, 3, 6],
    ]);
  });

  test('there and back is where it was; two turns are one', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 });
    const turn = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
    fc.assert(
      fc.property(shape, turn, turn, (dims, first, second) => {
        const values = Uint16Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_value, index) => index);
        const once = permute(values, dims, first);
        const twice = permute(once.values, once.dims, second);
        const combined = composeOrders(first, second);
        expect(twice).toEqual(permute(values, dims, combined));
        const back = first.map((_axis, index) => first.indexOf(index));
        expect(isIdentity(composeOrders(first, back))).toBe(true);
        expect(permute(once.values, once.dims, back).values).toEqual(values);
      }),
    );
  });
});

describe('translation', () => {
  test('is the same bytes each time', () => {
    const graph = tfjs([{ name: 'out', op: 'Sigmoid', input: ['in'] }]);
    expect(translate(graph)).toBe(translate(graph));
    expect(translate(graph)).toContain('Sigmoid');
  });

  test('layouts that undo each other leave nothing behind', () => {
    const turn = (name: string, input: string, perm: string): object => ({
      name,
      op: 'Transpose',
      input: [input, perm],
    });
    const weights = [
      { name: 'last', shape: [4], int: [0, 2, 3, 1] },
      { name: 'first', shape: [4], int: [0, 3, 1, 2] },
    ];
    const undone = translate(tfjs([turn('a', 'in', 'last'), turn('out', 'a', 'first')], weights));
    expect(undone).not.toContain('Transpose');
    const twice = translate(tfjs([turn('a', 'in', 'last'), turn('out', 'a', 'last')], weights));
    expect(twice.split('Transpose').length - 1).toBeGreaterThan(0);
  });

  test('padding and bias become part of the convolution', () => {
    const convolution = {
      attr: { padding: { s: Buffer.from('VALID').toString('base64') }, strides: { list: { i: ['1', '2', '2', '1'] } } },
    };
    const weights: Weight[] = [
      { name: 'pads', shape: [4, 2], int: [0, 0, 0, 0, 1, 1, 1, 1] },
      { name: 'last', shape: [4], int: [0, 2, 3, 1] },
      { name: 'kernel', shape: [1, 1, 2, 3], half: [1, 2, 3, 4, 5, 6] },
      { name: 'bias', shape: [3], half: [7, 8, 9] },
    ];
    const nodes = [
      { name: 'pad', op: 'Pad', input: ['in', 'pads'] },
      { name: 'nhwc', op: 'Transpose', input: ['pad', 'last'] },
      { name: 'conv', op: 'Conv2D', input: ['nhwc', 'kernel'], ...convolution },
      { name: 'out', op: 'Add', input: ['conv', 'bias'] },
    ];
    const onnx = translate(tfjs(nodes, weights));
    expect(onnx).toContain('Conv');
    expect(onnx).toContain('pads');
    expect(onnx).not.toContain('Pad_');
    expect(onnx).not.toContain('Add');
    // The kernel, out x in x height x width, as halves.
    expect(onnx).toContain(Buffer.from(Uint16Array.of(1, 4, 2, 5, 3, 6).buffer).toString('latin1'));
  });

  test('shapes that the graph computes are known beforehand', () => {
    const weights: Weight[] = [
      { name: 'base', shape: [2], int: [0, 0] },
      { name: 'where', shape: [1, 1], int: [1] },
      { name: 'size', shape: [1], int: [2] },
      { name: 'value', shape: [1], int: [77] },
      { name: 'zero', shape: [], int: [5] },
    ];
    const nodes = [
      { name: 'dense', op: 'SparseToDense', input: ['where', 'size', 'value', 'zero'] },
      { name: 'shape', op: 'AddV2', input: ['base', 'dense'] },
      { name: 'out', op: 'Reshape', input: ['in', 'shape'] },
    ];
    expect(translate(tfjs(nodes, weights))).toContain(Buffer.from(BigInt64Array.of(5n, 77n).buffer).toString('latin1'));
  });

  test.each([
    ['an operator it does not know', tfjs([{ name: 'out', op: 'MatMul', input: ['in', 'in'] }]), /MatMul \(out\)/],
    ['a missing node', tfjs([{ name: 'out', op: 'Sigmoid', input: ['absent'] }]), /absent/],
    ['a missing input', tfjs([{ name: 'out', op: 'Sigmoid' }]), /no input 0/],
    ['no such output', tfjs([]), /names out/],
    [
      'a shape that only a run would give',
      tfjs([{ name: 'out', op: 'Reshape', input: ['in', 'in'] }]),
      /not a constant/,
    ],
    ['weights that end early', { ...tfjs([], [{ name: 'w', shape: [100], half: [1, 2] }]) }, /end before w/],
    ['weights that go on', { ...tfjs([]), bytes: Buffer.alloc(4) }, /4 bytes; the graph names 0/],
    ['no graph', { json: Buffer.from('{}'), bytes: Buffer.alloc(0) }, /not a TensorFlow\.js graph/],
    ['no JSON', { json: Buffer.from('{'), bytes: Buffer.alloc(0) }, /not JSON/],
  ])('%s is refused', (_what, graph, message) => {
    expect(() => translate(graph)).toThrow(expect.objectContaining({ code: 'convert-failed' }) as Error);
    expect(() => translate(graph)).toThrow(message);
  });

  test('the whole refuses a graph without the outputs of NanoDet', () => {
    const { json, bytes } = tfjs([{ name: 'out', op: 'Sigmoid', input: ['in'] }]);
    expect(() => convertNanodet(json, bytes)).toThrow(/no output Identity/);
  });

  test('what nobody asks for is not written', () => {
    const graph = new OnnxGraph();
    const input = graph.input('x', [1]);
    graph.node('Neg', [input]);
    graph.output(graph.node('Abs', [input]), 'y', [1]);
    const text = Buffer.from(graph.encode('test')).toString('latin1');
    expect(text).toContain('Abs');
    expect(text).not.toContain('Neg');
  });
});

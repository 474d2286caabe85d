/**
 * Writes ONNX files: the part of onnx.proto (IR version 8) that a network of plain float operators needs.
 * The same calls give the same bytes.
 */
import protobuf from 'protobufjs/light.js';

const repeated = (type: string, id: number) => ({ rule: 'repeated', type, id }) as const;
const one = (type: string, id: number) => ({ type, id }) as const;

const schema = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: one('int64', 1),
        producerName: one('string', 2),
        graph: one('GraphProto', 7),
        opsetImport: repeated('OperatorSetIdProto', 8),
      },
    },
    OperatorSetIdProto: { fields: { domain: one('string', 1), version: one('int64', 2) } },
    GraphProto: {
      fields: {
        node: repeated('NodeProto', 1),
        name: one('string', 2),
        initializer: repeated('TensorProto', 5),
        input: repeated('ValueInfoProto', 11),
        output: repeated('ValueInfoProto', 12),
      },
    },
    NodeProto: {
      fields: {
        input: repeated('string', 1),
        output: repeated('string', 2),
        name: one('string', 3),
        opType: one('string', 4),
        attribute: repeated('AttributeProto', 5),
      },
    },
    AttributeProto: {
      fields: {
        name: one('string', 1),
        f: one('float', 2),
        i: one('int64', 3),
        s: one('bytes', 4),
        ints: repeated('int64', 8),
        type: one('int32', 20),
      },
    },
    TensorProto: {
      fields: {
        dims: repeated('int64', 1),
        dataType: one('int32', 2),
        name: one('string', 8),
        rawData: one('bytes', 9),
      },
    },
    ValueInfoProto: { fields: { name: one('string', 1), type: one('TypeProto', 2) } },
    TypeProto: { fields: { tensorType: one('TensorType', 1) } },
    TensorType: { fields: { elemType: one('int32', 1), shape: one('TensorShapeProto', 2) } },
    TensorShapeProto: { fields: { dim: repeated('Dimension', 1) } },
    Dimension: { fields: { dimValue: one('int64', 1) } },
  },
});

/** TensorProto.DataType */
const dataTypes = { float: 1, int64: 7, half: 10 } as const;
/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

const opsetVersion = 18;
const irVersion = 8;

export type Attribute =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] };
export type Attributes = Readonly<Record<string, Attribute>>;

/** The name of a tensor in the graph; empty for an optional input that is left out. */
export type Value = string;

const valueInfo = (name: string, dims: readonly number[]) => ({
  name,
  type: { tensorType: { elemType: dataTypes.float, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
});

function attributeProto([name, attribute]: [string, Attribute]): Record<string, unknown> {
  if ('float' in attribute) return { name, f: attribute.float, type: attributeTypes.float };
  if ('int' in attribute) return { name, i: attribute.int, type: attributeTypes.int };
  if ('string' in attribute) return { name, s: Buffer.from(attribute.string), type: attributeTypes.string };
  return { name, ints: attribute.ints, type: attributeTypes.ints };
}

interface Node {
  readonly input: readonly Value[];
  readonly output: readonly Value[];
  readonly name: string;
  readonly opType: string;
  readonly attribute: readonly Record<string, unknown>[];
}

/** The runtime keeps what nobody asks for, and fuses less because of it. */
function withoutUnused(nodes: readonly Node[], asked: readonly Value[]): Node[] {
  const needed = new Set(asked);
  return nodes
    .toReversed()
    .filter(({ input, output }) => {
      const isNeeded = output.some((value) => needed.has(value));
      if (isNeeded) for (const value of input) needed.add(value);
      return isNeeded;
    })
    .toReversed();
}

export class OnnxGraph {
  readonly #nodes: Node[] = [];
  readonly #initializers: Record<string, unknown>[] = [];
  readonly #inputs: Record<string, unknown>[] = [];
  readonly #outputs: ReturnType<typeof valueInfo>[] = [];
  #count = 0;

  input(name: string, dims: readonly number[]): Value {
    this.#inputs.push(valueInfo(name, dims));
    return name;
  }

  output(value: Value, name: string, dims: readonly number[]): void {
    this.#node('Identity', [value], [name], {});
    this.#outputs.push(valueInfo(name, dims));
  }

  /** One operator with one output. */
  node(op: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.#node(op, inputs, [this.#name(op)], attributes)[0] ?? '';
  }

  /** One operator with several outputs. */
  split(op: string, inputs: readonly Value[], outputs: number, attributes: Attributes = {}): readonly Value[] {
    const names = Array.from({ length: outputs }, () => this.#name(op));
    return this.#node(op, inputs, names, attributes);
  }

  /** Stored as binary16, computed with as float: half the size, the same numbers. */
  halves(dims: readonly number[], bits: Uint16Array): Value {
    const stored = this.#initializer('half', dims, bits);
    return this.node('Cast', [stored], { to: { int: dataTypes.float } });
  }

  float(value: number): Value {
    return this.#initializer('float', [], Float32Array.of(value));
  }

  ints(values: readonly number[]): Value {
    return this.#initializer('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** The whole file. */
  encode(producerName: string): Uint8Array {
    const graph = {
      node: withoutUnused(
        this.#nodes,
        this.#outputs.map(({ name }) => name),
      ),
      name: 'model',
      initializer: this.#initializers,
      input: this.#inputs,
      output: this.#outputs,
    };
    const model = { irVersion, producerName, graph, opsetImport: [{ domain: '', version: opsetVersion }] };
    return schema.lookupType('ModelProto').encode(model).finish();
  }

  #node(op: string, inputs: readonly Value[], outputs: readonly Value[], attributes: Attributes): readonly Value[] {
    const attribute = Object.entries(attributes).map(attributeProto);
    this.#nodes.push({ input: inputs, output: outputs, name: this.#name('node'), opType: op, attribute });
    return outputs;
  }

  #initializer(type: keyof typeof dataTypes, dims: readonly number[], data: NodeJS.TypedArray): Value {
    const name = this.#name(type);
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ dims, dataType: dataTypes[type], name, rawData });
    return name;
  }

  #name(stem: string): string {
    this.#count += 1;
    return `${stem}_${this.#count}`;
  }
}

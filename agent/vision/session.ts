/**
 * The only door to onnxruntime: one session a model, on the CPU, with the threads it is given.
 *
 *   Model --open, checked against its manifest and head--> Session: input tensor --run--> output tensors by name
 *
 * `run` blocks the thread that calls it: call it in a worker thread.
 */
import { open } from 'node:fs/promises';
import type * as ort from 'onnxruntime-node';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import { heads } from '#models/heads/registry.ts';
import type { Model, Tensor } from '#models/model.ts';
import { hashFile } from '#models/weights.ts';

export interface SessionOptions {
  /** Threads inside one operator; 1 is best where several sessions share the cores. */
  readonly threads: number;
}

export interface Session extends AsyncDisposable {
  /** 1 x 3 x height x width. */
  readonly inputDims: readonly number[];
  /**
   * @param input 1 x 3 x height x width values, in the manifest's colour order and already normalised
   * @returns the outputs by name, valid until the next run
   * @throws OutpostError `inference-failed`, `out-of-memory`
   */
  run(input: Float32Array): Promise<Readonly<Record<string, Tensor>>>;
}

/**
 * @throws OutpostError `model-missing`, `model-damaged`, `model-mismatch`, `runtime-unavailable`, `out-of-memory`
 */
export async function openSession(model: Model, options: SessionOptions): Promise<Session> {
  await checkFile(model);
  const runtime = await loadRuntime();
  const native = await create(runtime, model, options);
  try {
    checkInput(native, model);
    checkOutputs(native, model);
  } catch (thrown) {
    await native.release();
    throw thrown;
  }
  return new OrtSession(runtime, native, model);
}

type Runtime = typeof ort;
type InferenceSession = ort.InferenceSession;

/** Once in a process; takes a third of the time in which a model is opened. @throws OutpostError `runtime-unavailable` */
export async function loadRuntime(): Promise<Runtime> {
  // Read once by the native library when it is loaded: without it, it keeps a telemetry database in the home folder.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new OutpostError('runtime-unavailable', `The inference runtime cannot be loaded: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function create(runtime: Runtime, model: Model, { threads }: SessionOptions): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(model.weightsPath, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
      // Without the arena every run leaves its buffers to the garbage collector: 148 MB instead of 61 after 180 runs.
      enableCpuMemArena: true,
      // Planning the buffers beforehand saves no time here, and costs 6 to 13 MB.
      enableMemPattern: false,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } catch (cause) {
    if (isOutOfMemory(cause)) throw new OutpostError('out-of-memory', 'The model does not fit into memory.', { cause });
    const detail = `${model.weightsPath} is not a model that can be loaded: ${firstLine(cause)}`;
    throw new OutpostError('model-damaged', detail, { cause });
  }
}

const firstLine = (cause: unknown): string => messageOf(cause).split('\n', 1)[0] ?? '';

const isOutOfMemory = (cause: unknown): boolean =>
  /bad_alloc|out of memory|failed to allocate|Array buffer allocation failed/i.test(messageOf(cause));

/** The file is there, and is the one that the manifest means. */
async function checkFile({ manifest, weightsPath }: Model): Promise<void> {
  let bytes: number;
  try {
    await using file = await open(weightsPath);
    const found = await file.stat();
    if (!found.isFile()) throw new TypeError('it is not a file');
    bytes = found.size;
  } catch (cause) {
    const reason = systemCode(cause) === 'ENOENT' ? 'is not there' : `cannot be read: ${messageOf(cause)}`;
    throw new OutpostError('model-missing', `The weights of ${manifest.name} at ${weightsPath}: ${reason}.`, { cause });
  }
  const expected = manifest.weights.bytes;
  if (expected !== undefined && expected !== bytes) {
    throw new OutpostError(
      'model-damaged',
      `${weightsPath} has ${bytes} bytes; ${manifest.name} has ${expected}: it is ${bytes < expected ? 'truncated' : 'another file'}.`,
    );
  }
  if (bytes === 0) throw new OutpostError('model-damaged', `${weightsPath} is empty.`);
  if (manifest.weights.sha256 === undefined) return;
  const { sha256 } = await hashFile(weightsPath);
  if (sha256 !== manifest.weights.sha256) {
    throw new OutpostError(
      'model-damaged',
      `${weightsPath} has sha256 ${sha256}; the manifest of ${manifest.name} says ${manifest.weights.sha256}.`,
    );
  }
}

function checkInput(native: InferenceSession, { manifest }: Model): void {
  const { name, width, height } = manifest.input;
  const found = native.inputMetadata.map((input) =>
    input.isTensor ? `${input.name} ${input.type} ${input.shape.join('x')}` : `${input.name} (no tensor)`,
  );
  const [input] = native.inputMetadata;
  const expected = `${name} float32 1x3x${height}x${width}`;
  const fits =
    native.inputMetadata.length === 1 &&
    input?.isTensor === true &&
    input.name === name &&
    input.type === 'float32' &&
    input.shape.length === 4 &&
    [1, 3, height, width].every((size, axis) => typeof input.shape[axis] === 'string' || input.shape[axis] === size);
  if (!fits) {
    throw new OutpostError(
      'model-mismatch',
      `The input of ${manifest.name} is expected as ${expected}, found ${found.join(', ') || 'none'}.`,
      { hint: 'Set input.name, input.width and input.height of the manifest to what the model has.' },
    );
  }
}

/** Symbolic sizes are checked by the first run. */
function checkOutputs(native: InferenceSession, { manifest }: Model): void {
  const shapes: Record<string, readonly number[]> = {};
  for (const output of native.outputMetadata) {
    if (!output.isTensor || output.type !== 'float32') {
      const type = output.isTensor ? output.type : 'no tensor';
      throw new OutpostError('model-mismatch', `Output ${output.name} of ${manifest.name} is ${type}, not float32.`);
    }
    if (output.shape.some((size) => typeof size === 'string')) return;
    shapes[output.name] = output.shape as readonly number[];
  }
  checkShapes(shapes, manifest);
}

function checkShapes(shapes: Readonly<Record<string, readonly number[]>>, manifest: Model['manifest']): void {
  const problem = heads[manifest.head].check(shapes, manifest);
  if (problem !== undefined) {
    throw new OutpostError('model-mismatch', `${manifest.name} does not fit the head ${manifest.head}: ${problem}.`, {
      hint: 'Choose the head that the model was exported for, and set labels, strides and input size of the manifest.',
    });
  }
}

class OrtSession implements Session {
  readonly inputDims: readonly number[];
  readonly #runtime: Runtime;
  readonly #native: InferenceSession;
  readonly #manifest: Model['manifest'];
  #checked = false;
  #outputs: Record<string, Tensor> = {};

  constructor(runtime: Runtime, native: InferenceSession, model: Model) {
    this.#runtime = runtime;
    this.#native = native;
    this.#manifest = model.manifest;
    this.inputDims = [1, 3, model.manifest.input.height, model.manifest.input.width];
  }

  async run(input: Float32Array): Promise<Readonly<Record<string, Tensor>>> {
    const feeds = { [this.#manifest.input.name]: new this.#runtime.Tensor('float32', input, this.inputDims) };
    this.#release();
    try {
      this.#outputs = (await this.#native.run(feeds)) as unknown as Record<string, Tensor>;
    } catch (cause) {
      const code = isOutOfMemory(cause) ? 'out-of-memory' : 'inference-failed';
      throw new OutpostError(code, `The model failed: ${firstLine(cause)}`, { cause });
    }
    if (!this.#checked) {
      const found = Object.entries(this.#outputs).map(([name, { dims }]) => [name, dims] as const);
      checkShapes(Object.fromEntries(found), this.#manifest);
      this.#checked = true;
    }
    return this.#outputs;
  }

  /**
   * Frees the last outputs now. Left to the collector, 30 MB of them gather before it looks, and then it takes time
   * from the model: 67 MB more after 500 runs of yolox-nano, and a collection every 20 frames.
   */
  #release(): void {
    for (const { data } of Object.values(this.#outputs)) (data.buffer as ArrayBuffer).transfer(0);
    this.#outputs = {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#native.release();
  }
}

/** The detection thread as seen from the child's main thread: a request, and a promise of its answer. */
import type { Worker } from 'node:worker_threads';
import { OutpostError } from '#agent/core/errors.ts';
import { startThread } from '#agent/core/program.ts';
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { Frame } from '#agent/domain/frame.ts';
import type { Model } from '#models/model.ts';
import type { DetectionThreadData, ThreadGreeting, ThreadReply, ThreadRequest } from './detection-thread.ts';
import { fillInput, inputLength } from './input.ts';

interface Waiting {
  readonly resolve: (reply: ThreadReply) => void;
  readonly reject: (error: OutpostError) => void;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

export interface DetectedFrame {
  readonly detections: readonly Detection[];
  /** The model alone. */
  readonly inferenceMs: number;
}

/** A detection thread that loads its runtime while nobody has said yet which model. */
export class WaitingThread {
  readonly #worker = startThread('detection', {});
  /** Rejects when the thread breaks. */
  readonly #greeted: Promise<ThreadGreeting>;

  constructor() {
    this.#greeted = new Promise((resolve, reject) => {
      const ended = (): void => reject(new OutpostError('vision-thread-ended'));
      this.#worker.once('message', resolve).once('error', reject).once('exit', ended);
    });
    // Heard by whoever opens it.
    this.#greeted.catch(() => undefined);
  }

  async open(data: DetectionThreadData): Promise<{ readonly worker: Worker; readonly greeting: ThreadGreeting }> {
    this.#worker.postMessage(data);
    return { worker: this.#worker, greeting: await this.#greeted };
  }
}

export class RemoteDetector implements AsyncDisposable {
  readonly loadMs: number;
  /** That it keeps; all when empty. */
  readonly labels: readonly string[];
  readonly #worker: Worker;
  readonly #model: Model;
  readonly #waiting = new Map<number, Waiting>();
  /** Memory of input tensors that are not in use: filled here, while the thread is at work on the one before. */
  readonly #inputs: Float32Array<ArrayBuffer>[] = [];
  #lastId = 0;
  #broken: OutpostError | undefined;

  private constructor(worker: Worker, { model, labels }: DetectionThreadData, loadMs: number) {
    this.#worker = worker;
    this.#model = model;
    this.labels = labels;
    this.loadMs = loadMs;
    worker.on('message', (reply: ThreadReply) => this.#settle(reply));
    worker.on('error', (cause) => this.#break(new OutpostError('vision-thread-ended', undefined, { cause })));
    worker.on('exit', () => this.#break(new OutpostError('vision-thread-ended')));
  }

  /**
   * @param thread one that was started before; otherwise one is started now
   * @throws OutpostError why the model cannot be used
   */
  static async open(data: DetectionThreadData, thread = new WaitingThread()): Promise<RemoteDetector> {
    const { worker, greeting } = await thread.open(data);
    if (greeting.kind === 'ready') return new RemoteDetector(worker, data, greeting.loadMs);
    await worker.terminate();
    throw new OutpostError(greeting.code, greeting.message, { hint: greeting.hint });
  }

  /** Reads the frame's bytes before it returns: the frame may be disposed then. */
  async detect(frame: Frame, minScore: number): Promise<DetectedFrame> {
    const input = this.#inputs.pop() ?? new Float32Array(inputLength(this.#model));
    fillInput(input, frame.bytes, frame.source, this.#model);
    const reply = await this.#ask({ kind: 'frame', input, source: frame.source, minScore }, [input.buffer]);
    if (reply.kind !== 'frame') throw new OutpostError('internal', 'The detection thread gave the wrong answer.');
    this.#inputs.push(reply.input);
    return reply;
  }

  /** Everything in an encoded picture that may be a person, at the score for hiding. */
  async findPeople(jpeg: Uint8Array): Promise<readonly Box[]> {
    const reply = await this.#ask({ kind: 'people', jpeg });
    if (reply.kind !== 'people') throw new OutpostError('internal', 'The detection thread gave the wrong answer.');
    return reply.boxes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask(request: WithoutId<ThreadRequest>, handedOver: readonly ArrayBuffer[] = []): Promise<ThreadReply> {
    if (this.#broken) throw this.#broken;
    const id = (this.#lastId += 1);
    return await new Promise<ThreadReply>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...request }, handedOver);
    });
  }

  #settle(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.kind === 'failed') waiting?.reject(new OutpostError(reply.code, reply.message, { hint: reply.hint }));
    else waiting?.resolve(reply);
  }

  #break(error: OutpostError): void {
    this.#broken ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#broken);
    this.#waiting.clear();
  }
}

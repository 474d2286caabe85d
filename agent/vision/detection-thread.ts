/**
 * The thread that owns the model: its calls block, so they block nothing else.
 *
 *   child's main thread ==input tensor==> this thread --detections, and the tensor's memory back--> child's main thread
 */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { toOutpostError } from '#agent/core/errors.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import { type Model, frameFormat } from '#models/model.ts';
import { Detector } from './detector.ts';
import { loadRuntime, openSession } from './session.ts';

/** What the thread is told first. */
export interface DetectionThreadData {
  readonly model: Model;
  readonly threads: number;
  /** Labels to keep; all when empty. */
  readonly labels: readonly string[];
}

export interface DetectFrame {
  readonly id: number;
  readonly kind: 'frame';
  /** Filled; its memory is handed over, and comes back with the reply. */
  readonly input: Float32Array<ArrayBuffer>;
  readonly source: PictureSize;
  readonly minScore: number;
}

export interface FindPeople {
  readonly id: number;
  readonly kind: 'people';
  readonly jpeg: Uint8Array;
}

export type ThreadRequest = DetectFrame | FindPeople;

export type ThreadReply =
  | {
      readonly id: number;
      readonly kind: 'frame';
      readonly detections: readonly Detection[];
      readonly inferenceMs: number;
      readonly input: Float32Array<ArrayBuffer>;
    }
  | { readonly id: number; readonly kind: 'people'; readonly boxes: readonly Box[] }
  | {
      readonly id: number;
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string;
    };

export type ThreadGreeting =
  | { readonly kind: 'ready'; readonly loadMs: number }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly hint: string };

/** What may be a person in a picture that is to be stored: hidden rather once too often. */
export const hidingScore = 0.15;

/** Loads the runtime at once, and the model when it is told which. */
export async function runDetectionThread(): Promise<void> {
  const port = parentPort as MessagePort;
  const told = new Promise<DetectionThreadData>((resolve) => port.once('message', resolve));
  // What it throws is thrown again where it is used.
  loadRuntime().catch(() => undefined);
  const data = await told;
  const startedAt = performance.now();
  let detector: Detector;
  try {
    detector = new Detector(await openSession(data.model, { threads: data.threads }), data.model);
  } catch (thrown) {
    port.postMessage({ kind: 'refused', ...failure(thrown) } satisfies ThreadGreeting);
    return;
  }
  // One request at a time: they share the input tensor.
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: ThreadRequest) => {
    last = last.then(async () => {
      const reply = await answer(detector, data, request);
      port.postMessage(reply, reply.kind === 'frame' ? [reply.input.buffer] : []);
    });
  });
  port.postMessage({ kind: 'ready', loadMs: performance.now() - startedAt } satisfies ThreadGreeting);
}

async function answer(detector: Detector, data: DetectionThreadData, request: ThreadRequest): Promise<ThreadReply> {
  const { id } = request;
  try {
    if (request.kind === 'people')
      return { id, kind: 'people', boxes: await findPeople(detector, data.model, request.jpeg) };
    const { input, source, minScore } = request;
    const { detections, inferenceMs } = await detector.detectIn(input, source, { minScore, labels: data.labels });
    return { id, kind: 'frame', detections, inferenceMs, input };
  } catch (thrown) {
    return { id, kind: 'failed', ...failure(thrown) };
  }
}

async function findPeople(detector: Detector, model: Model, jpeg: Uint8Array): Promise<readonly Box[]> {
  const { pictureToPlanes } = await import('./letterbox.ts');
  const { bytes, source } = await pictureToPlanes(jpeg, frameFormat(model.manifest));
  const { detections } = await detector.detect(bytes, source, { minScore: hidingScore, labels: ['person'] });
  return detections.map(({ box }) => box);
}

function failure(thrown: unknown): { code: ErrorCode; message: string; hint: string } {
  const { code, message, hint } = toOutpostError(thrown);
  return { code, message, hint };
}

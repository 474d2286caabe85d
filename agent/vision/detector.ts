/**
 * One frame in, its detections out.
 *
 *   planes --fillInput--> tensor --session--> outputs --head--> candidates --NMS--> un-letterbox --> Detection[]
 */
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import { type FitGeometry, type PictureSize, fitGeometry } from '#agent/domain/frame.ts';
import { nonMaximumSuppression } from '#models/heads/nms.ts';
import { heads } from '#models/heads/registry.ts';
import { type Candidate, type Model, frameFormat } from '#models/model.ts';
import { fillInput, inputLength } from './input.ts';
import type { Session } from './session.ts';

export interface DetectOptions {
  /** Least score; default: the model's own `thresholds.low`. */
  readonly minScore?: number;
  /** Labels to keep; all when absent or empty. */
  readonly labels?: readonly string[];
}

export interface Detected {
  /** Surest first. */
  readonly detections: Detection[];
  /** The model alone. */
  readonly inferenceMs: number;
}

/** Boxes reach this far past the picture at most, in pictures: a broken model says anything. */
const farthest = 0.5;

export class Detector {
  readonly #session: Session;
  readonly #model: Model;
  readonly #input: Float32Array;

  constructor(session: Session, model: Model) {
    this.#session = session;
    this.#model = model;
    this.#input = new Float32Array(inputLength(model));
  }

  /**
   * One at a time: calls share the input tensor.
   * @param bytes 3 x height x width, as the model's FrameFormat says, padding included; read before this returns
   * @param source size of the picture before it was fitted
   * @throws OutpostError `frame-misfit`, and those of `Session.run`
   */
  async detect(bytes: Uint8Array, source: PictureSize, options: DetectOptions = {}): Promise<Detected> {
    fillInput(this.#input, bytes, source, this.#model);
    return await this.detectIn(this.#input, source, options);
  }

  /**
   * One at a time.
   * @param input what `fillInput` wrote
   * @throws OutpostError those of `Session.run`
   */
  async detectIn(input: Float32Array, source: PictureSize, options: DetectOptions = {}): Promise<Detected> {
    const { manifest, labels } = this.#model;
    const startedAt = performance.now();
    const outputs = await this.#session.run(input);
    const inferenceMs = performance.now() - startedAt;

    const candidates = heads[manifest.head].decode(outputs, manifest, options.minScore ?? manifest.thresholds.low);
    const wanted = options.labels && options.labels.length > 0 ? new Set(options.labels) : undefined;
    const asked = wanted ? candidates.filter(({ label }) => wanted.has(labels[label] ?? '')) : candidates;
    const geometry = fitGeometry(source, frameFormat(manifest));
    const detections = nonMaximumSuppression(asked.filter(isBox), manifest.nms.iou).map((candidate) => ({
      label: labels[candidate.label] ?? '',
      score: Math.min(1, candidate.score),
      box: toPicture(candidate, geometry, source),
    }));
    return { detections, inferenceMs };
  }
}

const isBox = ({ x1, y1, x2, y2 }: Candidate): boolean => Number.isFinite(x1 + y1 + x2 + y2) && x2 > x1 && y2 > y1;

/** Input pixels -> the picture, normalised. */
function toPicture({ x1, y1, x2, y2 }: Candidate, geometry: FitGeometry, source: PictureSize): Box {
  const { scaleX, scaleY, offsetX, offsetY } = geometry;
  const x = (value: number): number => near((value - offsetX) / scaleX / source.width);
  const y = (value: number): number => near((value - offsetY) / scaleY / source.height);
  return [x(x1), y(y1), x(x2), y(y2)];
}

const near = (value: number): number => Math.min(1 + farthest, Math.max(-farthest, value));

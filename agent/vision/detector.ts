/**
 * One frame in, its detections out.
 *
 *   planes --normalise--> tensor --session--> outputs --head--> candidates --NMS--> un-letterbox --> Detection[]
 */
import { OutpostError } from '#agent/core/errors.ts';
import type { Box } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import { type FitGeometry, type PictureSize, fitGeometry } from '#agent/domain/frame.ts';
import { nonMaximumSuppression } from '#models/heads/nms.ts';
import { heads } from '#models/heads/registry.ts';
import { type Candidate, type Model, frameFormat } from '#models/model.ts';
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
  /** Frames lie in shared memory, where V8 converts value by value: copied first, it takes a fifth of the time. */
  readonly #own: Uint8Array;
  readonly #isPlain: boolean;

  constructor(session: Session, model: Model) {
    const { width, height, mean, std } = model.manifest.input;
    this.#session = session;
    this.#model = model;
    this.#input = new Float32Array(3 * height * width);
    this.#own = new Uint8Array(this.#input.length);
    this.#isPlain = mean.every((value) => value === 0) && std.every((value) => value === 1);
  }

  /**
   * One at a time: calls share the input tensor.
   * @param bytes 3 x height x width, as the model's FrameFormat says, padding included; read before this returns
   * @param source size of the picture before it was fitted
   * @throws OutpostError `frame-misfit`, and those of `Session.run`
   */
  async detect(bytes: Uint8Array, source: PictureSize, options: DetectOptions = {}): Promise<Detected> {
    const { manifest, labels } = this.#model;
    this.#fill(bytes, source);
    const startedAt = performance.now();
    const outputs = await this.#session.run(this.#input);
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

  #fill(bytes: Uint8Array, source: PictureSize): void {
    if (bytes.length !== this.#input.length || !(source.width > 0 && source.height > 0)) {
      throw new OutpostError(
        'frame-misfit',
        `A frame of ${bytes.length} bytes from ${source.width} x ${source.height}; the model takes ${this.#input.length} bytes.`,
      );
    }
    this.#own.set(bytes);
    if (this.#isPlain) {
      this.#input.set(this.#own);
      return;
    }
    const { mean, std } = this.#model.manifest.input;
    const plane = bytes.length / 3;
    for (const channel of [0, 1, 2] as const) {
      const scale = 1 / std[channel];
      const shift = -mean[channel] / std[channel];
      const end = (channel + 1) * plane;
      for (let index = channel * plane; index < end; index += 1) {
        this.#input[index] = (this.#own[index] ?? 0) * scale + shift;
      }
    }
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

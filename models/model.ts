/**
 * What a model is to Outpost: a manifest beside its weights, and a head that turns its output tensors into candidates.
 *
 *   manifest.json --> Manifest --> FrameFormat (what capture delivers), Head (what the output means)
 */
import type { FrameFormat } from '#agent/domain/frame.ts';
import { cocoLabels } from './coco.ts';
import type { Manifest } from './manifest.ts';

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

/** A frame's bytes as the values of a model's input tensor. */
import { OutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { Model } from '#models/model.ts';

/** Values of the input tensor: 1 x 3 x height x width. */
export const inputLength = ({ manifest }: Model): number => 3 * manifest.input.width * manifest.input.height;

/**
 * @param input `inputLength` values, all written
 * @param bytes as many, as the model's FrameFormat says, padding included; in memory that is not shared, where V8 converts
 *   them ten times faster
 * @param source size of the picture before it was fitted
 * @throws OutpostError `frame-misfit`
 */
export function fillInput(input: Float32Array, bytes: Uint8Array, source: PictureSize, { manifest }: Model): void {
  if (bytes.length !== input.length || !(source.width > 0 && source.height > 0)) {
    throw new OutpostError(
      'frame-misfit',
      `A frame of ${bytes.length} bytes from ${source.width} x ${source.height}; the model takes ${input.length} bytes.`,
    );
  }
  const { mean, std } = manifest.input;
  if (mean.every((value) => value === 0) && std.every((value) => value === 1)) {
    input.set(bytes);
    return;
  }
  const plane = bytes.length / 3;
  for (const channel of [0, 1, 2] as const) {
    const scale = 1 / std[channel];
    const shift = -mean[channel] / std[channel];
    const end = (channel + 1) * plane;
    for (let index = channel * plane; index < end; index += 1) input[index] = (bytes[index] ?? 0) * scale + shift;
  }
}

/** What heads share: how many cells a grid has, and a clear sentence when shapes differ. */
import type { Manifest } from '../manifest.ts';
import type { Tensor } from '../model.ts';

/** Cells of one stride: columns x rows. */
export const cellsOf = ({ input }: Manifest, stride: number): number =>
  Math.floor(input.width / stride) * Math.floor(input.height / stride);

/** Cells of all strides. */
export const gridCells = (manifest: Manifest): number =>
  manifest.strides.reduce((sum, stride) => sum + cellsOf(manifest, stride), 0);

export const formatShape = (dims: readonly number[]): string => dims.join('x');

/** @returns the first output that is missing or shaped otherwise, expected against found; undefined when all fit */
export function expectShapes(
  found: Readonly<Record<string, readonly number[]>>,
  expected: Readonly<Record<string, readonly number[]>>,
): string | undefined {
  for (const [name, dims] of Object.entries(expected)) {
    const actual = found[name];
    if (!actual) return `output ${name} is missing; found ${Object.keys(found).join(', ') || 'none'}`;
    if (formatShape(actual) !== formatShape(dims)) {
      return `output ${name} is expected as ${formatShape(dims)}, found ${formatShape(actual)}`;
    }
  }
  return undefined;
}

/** The single output of a head that has passed its check. */
export function onlyTensor(outputs: Readonly<Record<string, Tensor>>): Tensor {
  const [tensor] = Object.values(outputs);
  if (!tensor) throw new RangeError('The model gave no output.');
  return tensor;
}

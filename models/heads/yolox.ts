/**
 * YOLOX without decoding in the graph (Ge et al. 2021, arXiv:2107.08430, section 2.1): one row a grid cell.
 *
 *   1 x cells x (4 + 1 + labels): dx, dy, log w, log h, objectness, a score a label   (the last two already sigmoid)
 *   cells: of all strides, one after the other; in each, rows from the top, columns from the left
 *   centre = (cell + d) * stride, size = exp(log) * stride, score = objectness * label score
 */
import { type Candidate, type Head, type Tensor, labelsOf } from '../model.ts';
import { expectShapes, gridCells, onlyTensor } from './shapes.ts';

export const yolox: Head = {
  check(outputs, manifest) {
    const names = Object.keys(outputs);
    const [name] = names;
    if (name === undefined || names.length !== 1) return `one output is expected, found ${names.length}`;
    return expectShapes(outputs, { [name]: [1, gridCells(manifest), 5 + labelsOf(manifest).length] });
  },

  decode(outputs, manifest, minScore) {
    const tensor = onlyTensor(outputs);
    const candidates: Candidate[] = [];
    let row = 0;
    for (const stride of manifest.strides) {
      const columns = Math.floor(manifest.input.width / stride);
      const rows = Math.floor(manifest.input.height / stride);
      for (let y = 0; y < rows; y += 1) {
        for (let x = 0; x < columns; x += 1) {
          const candidate = decodeCell(tensor, row, x, y, stride, minScore);
          if (candidate) candidates.push(candidate);
          row += 1;
        }
      }
    }
    return candidates;
  },
};

function decodeCell(
  { data, dims }: Tensor,
  row: number,
  x: number,
  y: number,
  stride: number,
  minScore: number,
): Candidate | undefined {
  const width = dims[2] ?? 0;
  const at = row * width;
  const objectness = data[at + 4] ?? 0;
  // A label's score is at most 1: most cells end here.
  if (!(objectness >= minScore)) return undefined;
  let label = 0;
  let best = -1;
  for (let index = 5; index < width; index += 1) {
    const value = data[at + index] ?? 0;
    if (value > best) {
      best = value;
      label = index - 5;
    }
  }
  const score = objectness * best;
  if (!(score >= minScore)) return undefined;
  const centreX = (x + (data[at] ?? 0)) * stride;
  const centreY = (y + (data[at + 1] ?? 0)) * stride;
  const halfWidth = (Math.exp(data[at + 2] ?? 0) * stride) / 2;
  const halfHeight = (Math.exp(data[at + 3] ?? 0) * stride) / 2;
  return {
    label,
    score,
    x1: centreX - halfWidth,
    y1: centreY - halfHeight,
    x2: centreX + halfWidth,
    y2: centreY + halfHeight,
  };
}

/**
 * NanoDet: label scores and, for each side of the box, a distribution over whole distances
 * (Generalized Focal Loss, Li et al. 2020, arXiv:2006.04388, section 3.2).
 *
 *   a stride: scores 1 x cells x labels (already sigmoid), distances 1 x cells x (4 sides x bins)
 *   distance = expectation of softmax(bins) * stride, from the middle of the cell to left, top, right, bottom
 */
import type { Manifest } from '../manifest.ts';
import { type Candidate, type Head, type Tensor, labelsOf } from '../model.ts';
import { cellsOf, expectShapes, formatShape } from './shapes.ts';

interface Level {
  readonly stride: number;
  readonly scores: string;
  readonly distances: string;
}

export const nanodet: Head = {
  check(outputs, manifest) {
    const levels = levelsOf(outputs, manifest);
    if (typeof levels === 'string') return levels;
    const sides = outputs[levels[0]?.distances ?? '']?.[2] ?? 0;
    if (sides % 4 !== 0 || sides < 8) return `distances need four sides of at least two bins, found ${sides} in all`;
    const labelCount = labelsOf(manifest).length;
    const expected = levels.flatMap(({ stride, scores, distances }) => [
      [scores, [1, cellsOf(manifest, stride), labelCount]] as const,
      [distances, [1, cellsOf(manifest, stride), sides]] as const,
    ]);
    return expectShapes(outputs, Object.fromEntries(expected));
  },

  decode(outputs, manifest, minScore) {
    const shapes = Object.fromEntries(Object.entries(outputs).map(([name, { dims }]) => [name, dims]));
    const levels = levelsOf(shapes, manifest);
    if (typeof levels === 'string') throw new RangeError(levels);
    return levels.flatMap(({ stride, scores, distances }) => {
      const columns = Math.floor(manifest.input.width / stride);
      return decodeLevel(outputs[scores], outputs[distances], stride, columns, minScore);
    });
  },
};

/** Tells the outputs apart by their shapes, since exports name and order them differently. */
function levelsOf(outputs: Readonly<Record<string, readonly number[]>>, manifest: Manifest): readonly Level[] | string {
  const labelCount = labelsOf(manifest).length;
  const levels: Level[] = [];
  for (const stride of manifest.strides) {
    const cells = cellsOf(manifest, stride);
    const names = Object.keys(outputs).filter((name) => outputs[name]?.[1] === cells);
    const scores = names.find((name) => outputs[name]?.[2] === labelCount);
    const distances = names.find((name) => name !== scores);
    if (scores === undefined || distances === undefined || names.length !== 2) {
      const found = Object.entries(outputs).map(([name, dims]) => `${name} ${formatShape(dims)}`);
      return `stride ${stride} is expected as scores 1x${cells}x${labelCount} and distances 1x${cells}x(4 x bins), found ${found.join(', ') || 'none'}`;
    }
    levels.push({ stride, scores, distances });
  }
  return levels;
}

function decodeLevel(
  scores: Tensor | undefined,
  distances: Tensor | undefined,
  stride: number,
  columns: number,
  minScore: number,
): Candidate[] {
  if (!scores || !distances) return [];
  const [, cells = 0, labelCount = 0] = scores.dims;
  const bins = (distances.dims[2] ?? 0) / 4;
  const candidates: Candidate[] = [];
  for (let cell = 0; cell < cells; cell += 1) {
    const label = bestLabel(scores.data, cell * labelCount, labelCount);
    const score = scores.data[cell * labelCount + label] ?? 0;
    if (!(score >= minScore)) continue;
    const side = (index: number): number => expectation(distances.data, (cell * 4 + index) * bins, bins) * stride;
    const centreX = ((cell % columns) + 0.5) * stride;
    const centreY = (Math.floor(cell / columns) + 0.5) * stride;
    candidates.push({
      label,
      score,
      x1: centreX - side(0),
      y1: centreY - side(1),
      x2: centreX + side(2),
      y2: centreY + side(3),
    });
  }
  return candidates;
}

function bestLabel(scores: Float32Array, from: number, count: number): number {
  let best = 0;
  let bestScore = -1;
  for (let label = 0; label < count; label += 1) {
    const score = scores[from + label] ?? 0;
    if (score > bestScore) {
      bestScore = score;
      best = label;
    }
  }
  return best;
}

/** Of the bins 0, 1, 2 …, weighted by softmax; the greatest logit is taken off first, so that exp stays finite. */
function expectation(logits: Float32Array, from: number, bins: number): number {
  let greatest = -Infinity;
  for (let bin = 0; bin < bins; bin += 1) greatest = Math.max(greatest, logits[from + bin] ?? 0);
  let sum = 0;
  let weighted = 0;
  for (let bin = 0; bin < bins; bin += 1) {
    const weight = Math.exp((logits[from + bin] ?? 0) - greatest);
    sum += weight;
    weighted += weight * bin;
  }
  return weighted / sum;
}

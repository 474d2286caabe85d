/** Detections as a slightly worse detector would give them: some missing, all boxes a little off. */
import type { Random } from '#agent/core/random.ts';
import type { MotRow } from './mot.ts';

export interface Perturbation {
  /** Part of the detections that is left out, 0..1. */
  readonly drop: number;
  /** Standard deviation of place and size, in sizes of the box. */
  readonly jitter: number;
}

/** What the project's own bar is measured with: one run says little, ten say something. */
export const usualPerturbation: Perturbation = { drop: 0.03, jitter: 0.015 };

export function perturb(rows: readonly MotRow[], { drop, jitter }: Perturbation, random: Random): MotRow[] {
  return rows
    .filter(() => random() >= drop)
    .map((row) => ({
      frame: row.frame,
      id: row.id,
      score: row.score,
      x: row.x + jitter * row.width * normal(random),
      y: row.y + jitter * row.height * normal(random),
      width: row.width * Math.max(0.1, 1 + jitter * normal(random)),
      height: row.height * Math.max(0.1, 1 + jitter * normal(random)),
    }));
}

/** Standard normal. (G. E. P. Box, M. E. Muller, "A Note on the Generation of Random Normal Deviates", 1958.) */
const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

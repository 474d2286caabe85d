/** Non-maximum suppression: of overlapping boxes with the same label, the surest stays. */
import type { Candidate } from '../model.ts';

const area = ({ x1, y1, x2, y2 }: Candidate): number => (x2 - x1) * (y2 - y1);

function overlap(a: Candidate, b: Candidate): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (area(a) + area(b) - shared);
}

/** Candidates that are looked at, at most: a hostile or broken model must not take quadratic time. */
export const maxCandidates = 3000;

/**
 * @param iou boxes of one label that overlap more than this are one object
 * @returns surest first; equal scores keep their order
 */
export function nonMaximumSuppression(candidates: readonly Candidate[], iou: number): Candidate[] {
  const ordered = [...candidates].sort((a, b) => b.score - a.score).slice(0, maxCandidates);
  const keptByLabel = new Map<number, Candidate[]>();
  return ordered.filter((candidate) => {
    const kept = keptByLabel.get(candidate.label);
    if (kept?.some((other) => overlap(candidate, other) > iou)) return false;
    if (kept) kept.push(candidate);
    else keptByLabel.set(candidate.label, [candidate]);
    return true;
  });
}

/** Tracks as MOTChallenge lines: frame from 1, id, x, y, w, h in the video's own pixels, score, -1, -1, -1. */
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { PictureSize } from '#agent/domain/frame.ts';

/** Persons that are seen in this frame; a track that coasts is not. */
export function motLines({ frame, tracks }: TrackedFrame, { width, height }: PictureSize): string {
  return tracks
    .filter(({ label, coasting }) => label === 'person' && !coasting)
    .map(({ id, box: [x1, y1, x2, y2], score }) => {
      const placed = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height].map((value) => value.toFixed(2));
      return `${frame + 1},${id},${placed.join(',')},${score.toFixed(4)},-1,-1,-1\n`;
    })
    .join('');
}

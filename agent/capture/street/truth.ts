/** The truth of a street in MOTChallenge format, so that trackers and detectors can be judged on it. */
import type { Street } from './street.ts';

/**
 * People only, one line each: frame from 1, id, x, y, w, h in pixels, 1, -1, -1, -1 (Milan et al., MOT16, 2016, section 3.2).
 * @param frames how many, from the first
 */
export function truthText(street: Street, frames: number): string {
  let text = '';
  for (let n = 0; n < frames; n++) {
    for (const { id, label, box } of street.truth(n)) {
      if (label !== 'person') continue;
      const [x1, y1, x2, y2] = [
        box[0] * street.width,
        box[1] * street.height,
        box[2] * street.width,
        box[3] * street.height,
      ];
      const numbers = [x1, y1, x2 - x1, y2 - y1].map((value) => Math.round(value * 100) / 100);
      text += `${[n + 1, id, ...numbers, 1, -1, -1, -1].join(',')}\n`;
    }
  }
  return text;
}

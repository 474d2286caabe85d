/** From whose each pixel is to what can be seen of everybody. */
import type { Box } from '#agent/domain/box.ts';
import type { Easel } from './easel.ts';

export interface Visible {
  readonly owner: number;
  /** Of what of it lies inside the picture, 0..1: the rest is behind others. */
  readonly share: number;
  /** Around its visible pixels, normalised. */
  readonly box: Box;
}

export function visibleObjects({ raster: { width, height }, owners, painted }: Easel): Visible[] {
  const seen = new Map<number, { pixels: number; x1: number; y1: number; x2: number; y2: number }>();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const owner = owners[y * width + x] ?? 0;
      if (owner === 0) continue;
      const extent = seen.get(owner);
      if (!extent) {
        seen.set(owner, { pixels: 1, x1: x, y1: y, x2: x, y2: y });
        continue;
      }
      extent.pixels += 1;
      extent.x1 = Math.min(extent.x1, x);
      extent.x2 = Math.max(extent.x2, x);
      extent.y2 = y;
    }
  }
  return [...seen]
    .sort(([a], [b]) => a - b)
    .map(([owner, { pixels, x1, y1, x2, y2 }]) => ({
      owner,
      share: pixels / (painted[owner] ?? pixels),
      box: [x1 / width, y1 / height, (x2 + 1) / width, (y2 + 1) / height],
    }));
}

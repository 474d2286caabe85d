/**
 * Shapes on a raw picture: which pixels a polygon or a capsule covers, and how much of each. No fonts, no libraries.
 *
 *   shape --cover--> (pixel index, coverage 0..1) --paint--> rgb24 bytes
 */

/** Rows of r, g, b from the upper left, one byte a value. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

export type Colour = readonly [r: number, g: number, b: number];
/** In pixels, with fractions; the centre of the upper left pixel is 0.5, 0.5. */
export type PixelPoint = readonly [x: number, y: number];

/** Called once a covered pixel. */
export type Paint = (index: number, coverage: number) => void;

type Extent = Pick<Raster, 'width' | 'height'>;

/** Sub-scanlines a row; coverage along x is exact. */
const subScans = 4;

/** The pixels of a polygon by the even-odd rule, clipped to the picture. */
export function coverPolygon(extent: Extent, corners: readonly PixelPoint[], paint: Paint): void {
  const ys = corners.map(([, y]) => y);
  const firstRow = Math.max(0, Math.floor(Math.min(...ys)));
  const lastRow = Math.min(extent.height - 1, Math.ceil(Math.max(...ys)));
  const row = new Float32Array(extent.width);
  for (let y = firstRow; y <= lastRow; y++) {
    row.fill(0);
    for (let scan = 0; scan < subScans; scan++) {
      const crossings = crossingsAt(corners, y + (scan + 0.5) / subScans);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        addSpan(row, crossings[pair] ?? 0, crossings[pair + 1] ?? 0);
      }
    }
    for (let x = 0; x < extent.width; x++) {
      const covered = row[x] ?? 0;
      if (covered > 0) paint(y * extent.width + x, Math.min(1, covered / subScans));
    }
  }
}

function crossingsAt(corners: readonly PixelPoint[], y: number): number[] {
  const crossings: number[] = [];
  let before = corners.at(-1);
  for (const corner of corners) {
    if (before && before[1] <= y !== corner[1] <= y) {
      crossings.push(before[0] + ((y - before[1]) / (corner[1] - before[1])) * (corner[0] - before[0]));
    }
    before = corner;
  }
  return crossings.sort((a, b) => a - b);
}

function addSpan(row: Float32Array, from: number, to: number): void {
  const start = Math.max(0, from);
  const end = Math.min(row.length, to);
  for (let x = Math.floor(start); x < end; x++) {
    row[x] = (row[x] ?? 0) + Math.min(end, x + 1) - Math.max(start, x);
  }
}

/**
 * The pixels of a capsule whose radius goes from `radiusA` to `radiusB`; `across` is -1..1 over its width, seen from a
 * to b (0 on the axis).
 */
export function coverCapsule(
  extent: Extent,
  a: PixelPoint,
  b: PixelPoint,
  radii: readonly [radiusA: number, radiusB: number],
  paint: (index: number, coverage: number, across: number) => void,
): void {
  const [radiusA, radiusB] = radii;
  const reach = Math.max(radiusA, radiusB) + 1;
  const firstX = Math.max(0, Math.floor(Math.min(a[0], b[0]) - reach));
  const lastX = Math.min(extent.width - 1, Math.ceil(Math.max(a[0], b[0]) + reach));
  const firstY = Math.max(0, Math.floor(Math.min(a[1], b[1]) - reach));
  const lastY = Math.min(extent.height - 1, Math.ceil(Math.max(a[1], b[1]) + reach));
  const alongX = b[0] - a[0];
  const alongY = b[1] - a[1];
  const length = Math.hypot(alongX, alongY);
  const scale = length > 0 ? 1 / (length * length) : 0;
  for (let y = firstY; y <= lastY; y++) {
    for (let x = firstX; x <= lastX; x++) {
      const dx = x + 0.5 - a[0];
      const dy = y + 0.5 - a[1];
      const share = Math.min(1, Math.max(0, (dx * alongX + dy * alongY) * scale));
      const radius = radiusA + (radiusB - radiusA) * share;
      const offX = dx - share * alongX;
      const offY = dy - share * alongY;
      const coverage = radius + 0.5 - Math.sqrt(offX * offX + offY * offY);
      if (coverage <= 0) continue;
      const across = length > 0 ? (offX * -alongY + offY * alongX) / (length * radius) : offX / radius;
      paint(y * extent.width + x, Math.min(1, coverage), across);
    }
  }
}

/** Mixes a colour into one pixel. */
export function blend(rgb: Uint8Array, index: number, colour: Colour, alpha: number): void {
  const at = index * 3;
  for (let channel = 0; channel < 3; channel++) {
    const before = rgb[at + channel] ?? 0;
    rgb[at + channel] = before + ((colour[channel] ?? 0) - before) * alpha + 0.5;
  }
}

export function fillPolygon(raster: Raster, corners: readonly PixelPoint[], colour: Colour, alpha = 1): void {
  coverPolygon(raster, corners, (index, coverage) => blend(raster.rgb, index, colour, coverage * alpha));
}

/** A straight stroke with round ends. */
export function strokeLine(raster: Raster, a: PixelPoint, b: PixelPoint, width: number, colour: Colour): void {
  coverCapsule(raster, a, b, [width / 2, width / 2], (index, coverage) => blend(raster.rgb, index, colour, coverage));
}

/** Whole pixels, x2 and y2 excluded; clipped. */
export function fillRectangle(
  raster: Raster,
  [x1, y1, x2, y2]: readonly [number, number, number, number],
  colour: Colour,
  alpha = 1,
): void {
  const left = Math.max(0, Math.round(x1));
  const right = Math.min(raster.width, Math.round(x2));
  for (let y = Math.max(0, Math.round(y1)); y < Math.min(raster.height, Math.round(y2)); y++) {
    for (let x = left; x < right; x++) blend(raster.rgb, y * raster.width + x, colour, alpha);
  }
}

/** Text on a raw picture, from the strokes in glyphs.ts; other characters become a question mark. */
import { type Colour, type PixelPoint, type Raster, blend, coverCapsule } from '#agent/core/raster.ts';
import { glyphs } from './glyphs.ts';

/** Units of the font's grid. */
const capital = 10;
const descender = 3;
const gap = 2.6;
const spaceWidth = 3;
const strokeWidth = 1.5;
/** Straight pieces a curve's span is drawn with. */
const pieces = 5;

interface Mask {
  readonly width: number;
  readonly height: number;
  readonly coverage: Float32Array;
  /** To the next character, pixels with fractions. */
  readonly advance: number;
}

const masks = new Map<string, Mask>();
const maskLimit = 2000;
/** Pixels around a mask, for what a stroke's width reaches past its points. */
const rim = 2;

/** Height of the text from the top of a capital to the foot of a descender, for capitals of `size` pixels. */
export const textHeight = (size: number): number => Math.ceil((size * (capital + descender)) / capital);

/** Width in pixels of one line. */
export const textWidth = (text: string, size: number): number =>
  Math.ceil(Array.from(text).reduce((width, character) => width + maskOf(character, size).advance, 0));

/** The text, cut with `…` where it would be wider than `width` pixels. */
export function fitText(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) return text;
  const characters = Array.from(text);
  while (characters.length > 0 && textWidth(`${characters.join('')}…`, size) > width) characters.pop();
  return characters.length > 0 ? `${characters.join('')}…` : '';
}

/** @param at upper left corner of the first capital, whole pixels  @param size height of a capital, pixels */
export function drawText(raster: Raster, text: string, at: PixelPoint, size: number, colour: Colour): void {
  let x = at[0];
  for (const character of text) {
    const mask = maskOf(character, size);
    stamp(raster, mask, Math.round(x) - rim, Math.round(at[1]) - rim, colour);
    x += mask.advance;
  }
}

function stamp(raster: Raster, mask: Mask, left: number, top: number, colour: Colour): void {
  for (let row = Math.max(0, -top); row < mask.height && top + row < raster.height; row++) {
    for (let column = Math.max(0, -left); column < mask.width && left + column < raster.width; column++) {
      const coverage = mask.coverage[row * mask.width + column] ?? 0;
      if (coverage > 0) blend(raster.rgb, (top + row) * raster.width + left + column, colour, coverage);
    }
  }
}

function maskOf(character: string, size: number): Mask {
  const known = glyphs[character] === undefined ? '?' : character;
  const key = `${size} ${known}`;
  const before = masks.get(key);
  if (before) return before;
  if (masks.size >= maskLimit) masks.clear();
  const mask = drawMask(known, size);
  masks.set(key, mask);
  return mask;
}

function drawMask(character: string, size: number): Mask {
  const scale = size / capital;
  const strokes = strokesOf(glyphs[character] ?? '');
  const right = Math.max(0, ...strokes.flat().map(([x]) => x));
  const width = Math.ceil(right * scale) + 2 * rim + 1;
  const height = textHeight(size) + 2 * rim + 1;
  const coverage = new Float32Array(width * height);
  const place = ([x, y]: PixelPoint): PixelPoint => [x * scale + rim + 0.5, y * scale + rim + 0.5];
  const radius = Math.max(0.55, (strokeWidth * scale) / 2);
  for (const stroke of strokes) {
    stroke.slice(1).forEach((point, index) => {
      const from = place(stroke[index] ?? point);
      coverCapsule({ width, height }, from, place(point), [radius, radius], (at, covered) => {
        coverage[at] = Math.max(coverage[at] ?? 0, covered);
      });
    });
  }
  return { width, height, coverage, advance: (strokes.length > 0 ? right + gap : spaceWidth + gap) * scale };
}

/** The polylines of a glyph, in units of the grid. */
function strokesOf(glyph: string): PixelPoint[][] {
  return glyph
    .split(' ')
    .filter((stroke) => stroke !== '')
    .map((stroke) => {
      const points = [...stroke.matchAll(/([0-9a-f])([0-9a-f])/g)].map(([, x, y]): PixelPoint => [
        Number.parseInt(x ?? '0', 16),
        Number.parseInt(y ?? '0', 16),
      ]);
      if (stroke.startsWith('o')) return spline([...points, ...points.slice(0, 2)], false);
      return stroke.startsWith('~') ? spline(points, true) : points;
    });
}

/** Quadratic B-spline as a polyline: each inner control point bends from one midpoint of the polygon to the next. */
function spline(controls: readonly PixelPoint[], clamped: boolean): PixelPoint[] {
  const line: PixelPoint[] = [];
  for (let inner = 1; inner + 1 < controls.length; inner++) {
    const [before, control, after] = [controls[inner - 1], controls[inner], controls[inner + 1]];
    if (!before || !control || !after) continue;
    const start = clamped && inner === 1 ? before : middle(before, control);
    const end = clamped && inner + 2 === controls.length ? after : middle(control, after);
    for (let piece = inner === 1 ? 0 : 1; piece <= pieces; piece++)
      line.push(bend(start, control, end, piece / pieces));
  }
  return line;
}

const middle = (a: PixelPoint, b: PixelPoint): PixelPoint => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

function bend(a: PixelPoint, control: PixelPoint, b: PixelPoint, t: number): PixelPoint {
  const [u, v, w] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
  return [u * a[0] + v * control[0] + w * b[0], u * a[1] + v * control[1] + w * b[1]];
}

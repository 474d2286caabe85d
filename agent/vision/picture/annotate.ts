/**
 * Draws an annotation on a raw picture: zones below, then lines, boxes, labels, and the title bar above all.
 * Used for stored pictures and for rendered videos alike.
 */
import type { Box, Point } from '#agent/domain/box.ts';
import {
  type Colour,
  type PixelPoint,
  type Raster,
  fillPolygon,
  fillRectangle,
  strokeLine,
} from '#agent/core/raster.ts';
import type { Annotation } from '../protocol.ts';
import { drawText, fitText, textHeight, textWidth } from './text.ts';

const colours = {
  plain: [88, 214, 141],
  accent: [255, 92, 66],
  zone: [70, 190, 255],
  line: [255, 200, 60],
  bar: [16, 20, 28],
  paper: [255, 255, 255],
  ink: [12, 14, 18],
} as const satisfies Record<string, Colour>;

interface Sizes {
  /** Height of a capital in labels, pixels. */
  readonly text: number;
  readonly stroke: number;
  readonly padding: number;
}

function sizesFor({ width, height }: Raster): Sizes {
  const scale = Math.max(width / 960, height / 540, 0.5);
  return {
    text: Math.max(7, Math.round(10 * scale)),
    stroke: Math.max(1, Math.round(2 * scale)),
    padding: Math.ceil(4 * scale),
  };
}

/** Changes the picture's bytes in place. What lies outside the picture is clipped; text is cut to the picture's width. */
export function annotate(raster: Raster, annotation: Annotation): void {
  const sizes = sizesFor(raster);
  for (const { polygon } of annotation.zones) drawZone(raster, polygon, sizes);
  for (const { from, to } of annotation.lines) drawCountingLine(raster, from, to, sizes);
  for (const { id, polygon } of annotation.zones) drawTag(raster, id, lowestLeft(polygon), colours.zone, sizes);
  for (const { id, from } of annotation.lines) drawTag(raster, id, from, colours.line, sizes);
  const boxes = [...annotation.boxes].sort((a, b) => Number(a.accent) - Number(b.accent));
  for (const { box, accent } of boxes) drawFrame(raster, box, accent ? colours.accent : colours.plain, sizes);
  for (const { box, text, accent } of boxes) {
    drawLabel(raster, text, box, accent ? colours.accent : colours.plain, sizes);
  }
  if (annotation.title !== '') drawTitle(raster, annotation.title, sizes);
}

const pixels = ({ width, height }: Raster, [x, y]: Point): PixelPoint => [x * width, y * height];

function drawZone(raster: Raster, polygon: readonly Point[], sizes: Sizes): void {
  const corners = polygon.map((point) => pixels(raster, point));
  fillPolygon(raster, corners, colours.zone, 0.12);
  corners.forEach((corner, index) => {
    strokeLine(raster, corners.at(index - 1) ?? corner, corner, sizes.stroke, colours.zone);
  });
}

/** The line, and at its middle a tick to its right: the side that `forward` crosses to. */
function drawCountingLine(raster: Raster, from: Point, to: Point, sizes: Sizes): void {
  const [a, b] = [pixels(raster, from), pixels(raster, to)];
  strokeLine(raster, a, b, sizes.stroke * 1.5, colours.line);
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  if (length === 0) return;
  const [alongX, alongY] = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
  const middle: PixelPoint = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const reach = sizes.text * 1.8;
  const tip: PixelPoint = [middle[0] - alongY * reach, middle[1] + alongX * reach];
  strokeLine(raster, middle, tip, sizes.stroke, colours.line);
  for (const side of [1, -1]) {
    const barb = reach * 0.4;
    const end: PixelPoint = [
      tip[0] + alongY * barb + side * alongX * barb,
      tip[1] - alongX * barb + side * alongY * barb,
    ];
    strokeLine(raster, tip, end, sizes.stroke, colours.line);
  }
}

const lowestLeft = (polygon: readonly Point[]): Point =>
  polygon.reduce((best, point) => (point[1] - point[0] > best[1] - best[0] ? point : best), [1, 0]);

/** A name beside a point, kept inside the picture. */
function drawTag(raster: Raster, text: string, at: Point, colour: Colour, sizes: Sizes): void {
  const [x, y] = pixels(raster, at);
  placeLabel(raster, text, x + sizes.padding, y - labelHeight(sizes) - sizes.padding, colour, sizes);
}

function drawFrame(raster: Raster, box: Box, colour: Colour, { stroke }: Sizes): void {
  const [x1, y1] = pixels(raster, [box[0], box[1]]);
  const [x2, y2] = pixels(raster, [box[2], box[3]]);
  fillRectangle(raster, [x1, y1, x2, y1 + stroke], colour);
  fillRectangle(raster, [x1, y2 - stroke, x2, y2], colour);
  fillRectangle(raster, [x1, y1 + stroke, x1 + stroke, y2 - stroke], colour);
  fillRectangle(raster, [x2 - stroke, y1 + stroke, x2, y2 - stroke], colour);
}

function drawLabel(raster: Raster, text: string, box: Box, colour: Colour, sizes: Sizes): void {
  const [x, y] = pixels(raster, [box[0], box[1]]);
  placeLabel(raster, text, x, y - labelHeight(sizes), colour, sizes);
}

const labelHeight = ({ text, padding }: Sizes): number => textHeight(text) + padding;

function placeLabel(raster: Raster, text: string, x: number, y: number, colour: Colour, sizes: Sizes): void {
  if (text === '') return;
  const shown = fitText(text, sizes.text, raster.width - 2 * sizes.padding);
  const width = textWidth(shown, sizes.text) + 2 * sizes.padding;
  const height = labelHeight(sizes);
  const left = Math.round(Math.max(0, Math.min(x, raster.width - width)));
  const top = Math.round(Math.max(0, Math.min(y, raster.height - height)));
  fillRectangle(raster, [left, top, left + width, top + height], colour, 0.9);
  drawText(raster, shown, [left + sizes.padding, top + sizes.padding], sizes.text, colours.ink);
}

function drawTitle(raster: Raster, title: string, sizes: Sizes): void {
  const size = Math.round(sizes.text * 1.2);
  const height = textHeight(size) + 2 * sizes.padding;
  fillRectangle(raster, [0, 0, raster.width, height], colours.bar, 0.72);
  fillRectangle(raster, [0, 0, sizes.padding, height], colours.accent);
  const shown = fitText(title, size, raster.width - 4 * sizes.padding);
  drawText(raster, shown, [3 * sizes.padding, Math.round(sizes.padding * 1.4)], size, colours.paper);
}

/** Paper as an SVG picture: characters in their cells, dots as they are. Whoever wants a PNG renders it. */
import type { Dots, Item, Paper } from './paper.ts';

const margin = 24;
/** Monospaced where there is one; the printer's own font is in its ROM. */
const fonts = 'DejaVu Sans Mono, WenQuanYi Micro Hei, WenQuanYi Zen Hei, Noto Sans CJK SC, monospace';

/** 1.5 m of paper: renderers have their bounds. */
const mostDots = 12_000;

/** The newest paper, at most 12,000 dots of it. */
export function pictureOf(paper: Paper): string {
  const top = Math.max(0, paper.height - mostDots);
  const [width, height] = [paper.width + 2 * margin, paper.height - top + 2 * margin];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-margin} ${top - margin} ${width} ${height}">`,
    `<rect x="${-margin}" y="${top - margin}" width="${width}" height="${height}" fill="white"/>`,
    `<g font-family="${fonts}" text-anchor="middle">`,
    ...paper.items.filter(({ y }) => y >= top).map((item) => drawn(item, paper.width)),
    '</g></svg>',
  ].join('\n');
}

function drawn(item: Item, width: number): string {
  switch (item.is) {
    case 'cut':
      return `<path d="M${-margin} ${item.y}H${width + margin}" stroke="gray" stroke-dasharray="12 6"/>`;
    case 'dots':
      return `<path ${placed(item)} shape-rendering="crispEdges" d="${runs(item.dots)}"/>`;
    case 'character':
      return character(item);
  }
}

const placed = ({ x, y, across, down }: { x: number; y: number; across: number; down: number }): string =>
  `transform="translate(${x} ${y}) scale(${across} ${down})"`;

function character(item: Item & { is: 'character' }): string {
  const { width, height, text, bold, underline, inverted } = item;
  const ink = inverted ? 'white' : 'black';
  const isWide = width === height;
  // of most monospaced fonts a letter is 0.6 em wide, and a Chinese character 1 em
  const size = isWide ? width : Math.round(width / 0.602);
  const back = inverted ? `<rect width="${width}" height="${height}"/>` : '';
  const line = underline ? `<path d="M0 ${height - 1}h${width}" stroke="${ink}"/>` : '';
  const weight = bold ? ` stroke="${ink}" stroke-width="0.9"` : '';
  const glyph =
    text.trim() === ''
      ? ''
      : `<text x="${width / 2}" y="${Math.round(height * (isWide ? 0.86 : 0.8))}" font-size="${size}" fill="${ink}"${weight}>${escaped(text)}</text>`;
  return `<g ${placed(item)}>${back}${glyph}${line}</g>`;
}

/** What XML 1.0 cannot hold is drawn as a box. */
const escaped = (text: string): string =>
  text
    .replace(/[^\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '□')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;');

/** Black dots, a rectangle for each run of a row. */
function runs({ width, height, bytes }: Dots): string {
  const path: string[] = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (bytes[y * width + x] !== 1) continue;
      const begin = x;
      while (x < width && bytes[y * width + x] === 1) x += 1;
      path.push(`M${begin} ${y}h${x - begin}v1h${begin - x}z`);
    }
  }
  return path.join('');
}

import { expect, test } from 'vitest';
import { glyphs } from './glyphs.ts';
import { drawText, fitText, textHeight, textWidth } from './text.ts';

function ink(text: string, size = 16): number[] {
  const width = Math.max(1, textWidth(text, size)) + 8;
  const height = textHeight(size) + 4;
  const raster = { width, height, rgb: new Uint8Array(width * height * 3) };
  drawText(raster, text, [4, 2], size, [255, 255, 255]);
  return [...raster.rgb];
}

const printable = Array.from({ length: 95 }, (_character, index) => String.fromCharCode(32 + index));

test('has every printable character of ASCII, and each looks unlike the others', () => {
  expect(printable.filter((character) => glyphs[character] === undefined)).toEqual([]);
  const looks = new Set(printable.map((character) => ink(character, 24).join()));
  expect(looks.size).toBe(95);
});

test('leaves ink for everything but the space', () => {
  expect(printable.filter((character) => ink(character).every((value) => value === 0))).toEqual([' ']);
});

test.each(['é', '中', '\0', '\n', '🙂'])('shows %j as a question mark', (character) => {
  expect(ink(character)).toEqual(ink('?'));
});

test('cuts what does not fit, and ends it with an ellipsis', () => {
  expect(fitText('intrusion', 10, 1000)).toBe('intrusion');
  const cut = fitText('intrusion in the yard', 10, 60);
  expect(cut).toMatch(/^intr.*…$/);
  expect(textWidth(cut, 10)).toBeLessThanOrEqual(60);
  expect(fitText('intrusion', 10, 3)).toBe('');
});

test.each([
  [-8, -8],
  [15, 15],
  [-100, 5],
  [5, 100],
] as const)('is clipped at the picture’s edges (at %i, %i)', (x, y) => {
  const small = { width: 20, height: 20, rgb: new Uint8Array(20 * 20 * 3) };
  const large = { width: 240, height: 240, rgb: new Uint8Array(240 * 240 * 3) };
  drawText(small, 'W', [x, y], 16, [255, 255, 255]);
  drawText(large, 'W', [x + 110, y + 110], 16, [255, 255, 255]);
  const rows = Array.from({ length: 20 }, (_row, row) => ((row + 110) * 240 + 110) * 3);
  expect([...small.rgb]).toEqual(rows.flatMap((from) => Array.from(large.rgb.subarray(from, from + 20 * 3))));
});

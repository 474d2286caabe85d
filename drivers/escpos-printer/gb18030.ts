/**
 * Text in GB 18030, the set that a printer for the Chinese market has in its ROM. The platform decodes it and does not
 * encode it; so its decoder, asked for every code once, gives the table the other way round.
 */

/** Codes by BMP code point; 0 where there is none. Made at first use: 256 KiB. */
let table: Uint32Array | undefined;

const bmpPointers = 39_420;
const firstBeyondBmp = 189_000;

/** Four-byte code of a pointer (WHATWG Encoding, gb18030 encoder). */
const fourBytes = (pointer: number): readonly number[] => [
  0x81 + Math.floor(pointer / 12_600),
  0x30 + (Math.floor(pointer / 1_260) % 10),
  0x81 + (Math.floor(pointer / 10) % 126),
  0x30 + (pointer % 10),
];

function codes(): readonly (readonly number[])[] {
  const four = Array.from({ length: bmpPointers }, (_unused, pointer) => fourBytes(pointer));
  const two: number[][] = [];
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) if (trail !== 0x7f) two.push([lead, trail]);
  }
  // where two codes mean one character, the shorter is taken
  return [...four, ...two];
}

/** Asked in one go, a line each: no code holds a line feed. */
function makeTable(): Uint32Array {
  const made = new Uint32Array(0x1_0000);
  const all = codes();
  const lines = new TextDecoder('gb18030').decode(Uint8Array.from(all.flatMap((code) => [...code, 0x0a]))).split('\n');
  for (const [at, code] of all.entries()) {
    const text = lines[at] ?? '';
    const point = text.length === 1 ? text.charCodeAt(0) : 0xfffd;
    if (point !== 0xfffd && point > 0x7f) made[point] = code.reduce((sum, byte) => sum * 256 + byte, 0);
  }
  return made;
}

/** @returns its one, two or four bytes; undefined for half a surrogate pair, and the few private ones without a code */
export function gb18030Of(character: string): readonly number[] | undefined {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x80) return [point];
  if (point > 0xffff) return fourBytes(firstBeyondBmp + point - 0x1_0000);
  table ??= makeTable();
  const code = table[point] as number;
  if (code === 0) return undefined;
  return code > 0xffff ? [code >>> 24, (code >> 16) & 0xff, (code >> 8) & 0xff, code & 0xff] : [code >> 8, code & 0xff];
}

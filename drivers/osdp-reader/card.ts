/** Card data of osdp_RAW and osdp_FMT (IEC 60839-11-5), and what 26 Wiegand bits say. */

export interface Card {
  readonly reader: number;
  readonly bits: number;
  /** The first bit is the highest of the first byte. */
  readonly hex: string;
  /** Where the reader makes characters of it. */
  readonly text?: string;
  readonly facility?: number;
  readonly number?: number;
  readonly parity?: 'right' | 'wrong';
}

/** Reader, format, number of bits ×2 the low byte first, bits. */
export function rawCard(payload: Uint8Array): Card | undefined {
  if (payload.length < 4) return undefined;
  const [reader, , low, high] = payload as unknown as [number, number, number, number];
  const bits = low + high * 256;
  const data = payload.subarray(4);
  if (bits > 1_024 || data.length < Math.ceil(bits / 8)) return undefined;
  const used = data.subarray(0, Math.ceil(bits / 8));
  return { reader, bits, hex: Buffer.from(used).toString('hex'), ...(bits === 26 ? wiegand26(used) : {}) };
}

/** Reader, direction, number of characters, characters. */
export function formattedCard([reader, , count, ...characters]: Uint8Array): Card | undefined {
  if (reader === undefined || count === undefined || characters.length < count) return undefined;
  const text = Buffer.from(characters.slice(0, count));
  return { reader, bits: count * 8, hex: text.toString('hex'), text: text.toString('latin1') };
}

/** SIA AC-01: even parity over the first half, facility ×8, number ×16, odd parity over the second. */
function wiegand26(data: Uint8Array): Pick<Card, 'facility' | 'number' | 'parity'> {
  const value = Buffer.from(data).readUInt32BE() >>> 6;
  const [first, second] = [value >>> 13, value & 0x1fff];
  return {
    facility: (value >>> 17) & 0xff,
    number: (value >>> 1) & 0xffff,
    parity: ones(first) % 2 === 0 && ones(second) % 2 === 1 ? 'right' : 'wrong',
  };
}

function ones(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest >>>= 1) count += rest & 1;
  return count;
}

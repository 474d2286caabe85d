/** Check values of bespoke frames, by the names under which they are known (CRC parameters: G. Cook, catalogue of CRC algorithms). */

export const checkKinds = [
  'none',
  'xor',
  'sum8',
  'sum8-negated',
  'sum16',
  'crc8',
  'crc8-maxim',
  'crc16-modbus',
  'crc16-ccitt-false',
  'crc16-xmodem',
  'crc32',
] as const;
export type CheckKind = (typeof checkKinds)[number];

interface Crc {
  readonly width: 8 | 16 | 32;
  readonly polynomial: number;
  readonly initial: number;
  readonly reflected: boolean;
  readonly final: number;
}

const crcs: Readonly<Partial<Record<CheckKind, Crc>>> = {
  crc8: { width: 8, polynomial: 0x07, initial: 0, reflected: false, final: 0 },
  'crc8-maxim': { width: 8, polynomial: 0x31, initial: 0, reflected: true, final: 0 },
  'crc16-modbus': { width: 16, polynomial: 0x8005, initial: 0xffff, reflected: true, final: 0 },
  'crc16-ccitt-false': { width: 16, polynomial: 0x1021, initial: 0xffff, reflected: false, final: 0 },
  'crc16-xmodem': { width: 16, polynomial: 0x1021, initial: 0, reflected: false, final: 0 },
  crc32: { width: 32, polynomial: 0x04c1_1db7, initial: 0xffff_ffff, reflected: true, final: 0xffff_ffff },
};

/** Bytes that the check value takes. */
export function checkSize(kind: CheckKind): 0 | 1 | 2 | 4 {
  if (kind === 'none') return 0;
  if (kind === 'sum16') return 2;
  const width = crcs[kind]?.width ?? 8;
  return width === 8 ? 1 : width === 16 ? 2 : 4;
}

/** @returns an unsigned number of `checkSize` bytes */
export function checkValue(kind: CheckKind, bytes: Uint8Array): number {
  const crc = crcs[kind];
  const table = crc && tables.get(crc);
  if (crc && table) return crcOf(crc, table, bytes);
  let sum = 0;
  for (const byte of bytes) sum = kind === 'xor' ? sum ^ byte : sum + byte;
  if (kind === 'sum16') return sum & 0xffff;
  return (kind === 'sum8-negated' ? -sum : sum) & 0xff;
}

function crcOf({ width, reflected, initial, final }: Crc, table: Uint32Array, bytes: Uint8Array): number {
  const mask = 2 ** width - 1;
  let crc = initial;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (reflected) crc = ((crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number)) >>> 0;
    else crc = (((crc << 8) ^ (table[((crc >>> (width - 8)) ^ byte) & 0xff] as number)) & mask) >>> 0;
  }
  return (crc ^ final) >>> 0;
}

/** What each byte does to a register of zeros. */
function tableOf({ width, polynomial, reflected }: Crc): Uint32Array {
  const mask = 2 ** width - 1;
  const top = 2 ** (width - 1);
  const turned = mirrored(polynomial, width);
  return Uint32Array.from({ length: 256 }, (_unused, byte) => {
    let crc = reflected ? byte : (byte << (width - 8)) >>> 0;
    for (let bit = 0; bit < 8; bit += 1) {
      if (reflected) crc = crc & 1 ? (crc >>> 1) ^ turned : crc >>> 1;
      else crc = ((crc & top) !== 0 ? (crc << 1) ^ polynomial : crc << 1) & mask;
    }
    return crc >>> 0;
  });
}

function mirrored(value: number, width: number): number {
  let result = 0;
  for (let bit = 0; bit < width; bit += 1) if (value & (2 ** bit)) result += 2 ** (width - 1 - bit);
  return result;
}

const tables = new Map(Object.values(crcs).map((crc) => [crc, tableOf(crc)]));

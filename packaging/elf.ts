/**
 * Reads what an ELF file asks of the machine: its processor, and the newest symbol versions of the system's libraries.
 *
 *   .gnu.version_r -> versions needed -+
 *   .gnu.version, .dynsym -> symbols  -+-> the gate: file, symbol, version that a device does not have
 *
 * ELF64, little-endian: System V ABI, chapter 4; Linux Standard Base 5.0, Core, section 10.7 for symbol versions.
 */
import { OutpostError } from '#agent/core/errors.ts';
import { type Target, newestSymbols } from './targets.ts';

/** A symbol that an ELF file takes from a library of the system. */
export interface NeededSymbol {
  readonly symbol: string;
  /** Such as `GLIBC` and `2.28`. */
  readonly family: string;
  readonly version: string;
  /** File name of the library that it comes from, such as `libc.so.6`. */
  readonly library: string;
}

export interface ElfNeeds {
  /** `e_machine`. */
  readonly machine: number;
  readonly symbols: readonly NeededSymbol[];
}

const types = { dynsym: 11, versym: 0x6fffffff, verneed: 0x6ffffffe } as const;
const symbolBytes = 24;

interface Section {
  readonly type: number;
  readonly bytes: Buffer;
  /** Index of the section that holds its names. */
  readonly link: number;
  /** How many entries, where it counts them. */
  readonly info: number;
}

export const isElf = (bytes: Uint8Array): boolean => Buffer.from(bytes.subarray(0, 4)).toString('latin1') === '\x7fELF';

/** @throws RangeError when it is no ELF file of 64 bits, or is cut short */
export function readElf(file: Uint8Array): ElfNeeds {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1) throw new RangeError('It is not a little-endian ELF64 file.');
  const sections = readSections(bytes);
  const symbols = sections.find(({ type }) => type === types.dynsym);
  const versions = sections.find(({ type }) => type === types.versym);
  if (!symbols) throw new RangeError('It has no table of dynamic symbols.');
  const needed = readNeeded(sections);
  const found: NeededSymbol[] = [];
  const indices = versions?.bytes ?? Buffer.alloc(0);
  for (let index = 0; index * 2 < indices.length; index += 1) {
    const version = needed.get(indices.readUInt16LE(index * 2) & 0x7fff);
    if (version === undefined) continue;
    const symbol = nameAt(sections[symbols.link], symbols.bytes.readUInt32LE(index * symbolBytes));
    found.push({ symbol, ...version });
  }
  return { machine: bytes.readUInt16LE(18), symbols: found };
}

export interface DefinedSymbol {
  /** Virtual. */
  readonly address: number;
  readonly bytes: number;
}

/** @returns a symbol that an ELF file gives to others. @throws RangeError when it has none of that name */
export function definedSymbol(file: Buffer, name: RegExp): DefinedSymbol {
  const sections = readSections(file);
  const { bytes: symbols, link } = sections.find(({ type }) => type === types.dynsym) ?? {
    bytes: Buffer.alloc(0),
    link: 0,
  };
  for (let at = 0; at < symbols.length; at += symbolBytes) {
    const [address, bytes] = [8, 16].map((field) => Number(symbols.readBigUInt64LE(at + field)));
    if (address && bytes && name.test(nameAt(sections[link], symbols.readUInt32LE(at)))) return { address, bytes };
  }
  throw new RangeError(`It has no symbol like ${name.source}.`);
}

function readSections(bytes: Buffer): readonly Section[] {
  const [offset, size, count] = [Number(bytes.readBigUInt64LE(40)), bytes.readUInt16LE(58), bytes.readUInt16LE(60)];
  if (count === 0) throw new RangeError('It has no section headers.');
  return Array.from({ length: count }, (_none, index) => {
    const at = offset + index * size;
    const type = bytes.readUInt32LE(at + 4);
    const start = Number(bytes.readBigUInt64LE(at + 24));
    // A section of type 8 takes no space in the file.
    const length = type === 8 ? 0 : Number(bytes.readBigUInt64LE(at + 32));
    if (start + length > bytes.length) throw new RangeError('It is cut short.');
    return {
      type,
      bytes: bytes.subarray(start, start + length),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    };
  });
}

/** By the index that symbols name them with. */
function readNeeded(sections: readonly Section[]): ReadonlyMap<number, Omit<NeededSymbol, 'symbol'>> {
  const found = new Map<number, Omit<NeededSymbol, 'symbol'>>();
  const section = sections.find(({ type }) => type === types.verneed);
  if (!section) return found;
  const { bytes, link, info } = section;
  for (let library = 0, at = 0; library < info; library += 1, at += bytes.readUInt32LE(at + 12)) {
    const count = bytes.readUInt16LE(at + 2);
    const file = nameAt(sections[link], bytes.readUInt32LE(at + 4));
    let entry = at + bytes.readUInt32LE(at + 8);
    for (let index = 0; index < count; index += 1, entry += bytes.readUInt32LE(entry + 12)) {
      const [family = '', version = ''] = nameAt(sections[link], bytes.readUInt32LE(entry + 8)).split(/_(?=[\d.]+$)/);
      found.set(bytes.readUInt16LE(entry + 6), { family, version, library: file });
    }
  }
  return found;
}

const nameAt = (names: Section | undefined, at: number): string =>
  names ? names.bytes.toString('latin1', at, names.bytes.indexOf(0, at)) : '';

/** -1, 0 or 1, number by number. */
function compareVersions(one: string, other: string): number {
  const [ones, others] = [one, other].map((version) => version.split('.').map(Number)) as [number[], number[]];
  for (let index = 0; index < Math.max(ones.length, others.length); index += 1) {
    const difference = (ones[index] ?? 0) - (others[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** @returns the newest version of each family that a file needs, such as `GLIBC 2.28` */
export function newestNeeded({ symbols }: ElfNeeds): ReadonlyMap<string, string> {
  const newest = new Map<string, string>();
  for (const { family, version } of symbols) {
    if (compareVersions(version, newest.get(family) ?? '0') >= 0) newest.set(family, version);
  }
  return newest;
}

/**
 * The gate of the build: an ELF file that a device could not load is not packed.
 * @param path names it in the message
 * @param shipped file names of the libraries that come with it: what it takes from them has no limit
 * @throws OutpostError `package-elf` with the file and the symbol
 */
export function checkElf(
  path: string,
  bytes: Uint8Array,
  target: Target,
  shipped: ReadonlySet<string> = new Set(),
): ElfNeeds {
  let needs: ElfNeeds;
  try {
    needs = readElf(bytes);
  } catch (cause) {
    throw new OutpostError('package-elf', `${path} cannot be read as an ELF file.`, { cause });
  }
  if (needs.machine !== target.machine) {
    throw new OutpostError('package-elf', `${path} is for machine ${needs.machine}, not for ${target.triple}.`);
  }
  for (const { symbol, family, version, library } of needs.symbols) {
    if (shipped.has(library)) continue;
    const newest = newestSymbols[family];
    if (newest !== undefined && compareVersions(version, newest) <= 0) continue;
    const limit = newest === undefined ? `the devices may have no ${library}` : `the devices have ${family}_${newest}`;
    throw new OutpostError('package-elf', `${path} needs ${symbol} of ${family}_${version}; ${limit}.`);
  }
  return needs;
}

/**
 * Which of ICU's languages the binary keeps. Node carries the forms of dates, numbers and names in every language, 18 MB of
 * data that nobody here reads: the program formats in English, sorts in English and Chinese.
 *
 *   icudt*_dat: header, [(name, where)], items --> the same package with fewer items
 *
 * ICU's common data package: icu4c/source/common/unicode/udata.h (header), tools/toolutil/pkgitems.cpp and package.cpp (list).
 * Another language is one that Node says it does not know: it takes the default, which then is English.
 */
import { OutpostError } from '#agent/core/errors.ts';

export const keptLanguages: readonly string[] = ['en', 'zh'];

/** Items lie at multiples of it. */
const alignment = 16;

interface Item {
  /** Such as `icudt78l/curr/de_AT.res`. */
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Encodings, scripts, time zones and rules of sorting have other names: those of languages begin with two or three letters.
 * `res_index` says which there are. How text is broken stays: the parts of Chinese come with those of Japanese.
 */
export function isKept(name: string): boolean {
  const [, language] =
    /^icudt\w+\/(?:(?:coll|curr|lang|rbnf|region|unit|zone)\/)?([a-z]{2,3})(?:_\w*)?\.res$/.exec(name) ?? [];
  return language === undefined || language === 'res' || keptLanguages.includes(language);
}

/**
 * @param data a whole package of ICU, little-endian
 * @returns a smaller one, in the same order
 * @throws OutpostError `package-failed` when it is none
 */
export function keepLanguages(data: Buffer): Buffer {
  const { header, items } = readPackage(data);
  return writePackage(
    header,
    items.filter(({ name }) => isKept(name)),
  );
}

export function readPackage(data: Buffer): { readonly header: Buffer; readonly items: readonly Item[] } {
  const isPackage = data.length > 32 && data.readUInt16LE(2) === 0x27da && data.toString('latin1', 12, 16) === 'CmnD';
  // The ninth byte says the order of bytes: none is big-endian here.
  if (!isPackage || data[8] !== 0) throw new OutpostError('package-failed', 'That is no data package of ICU.');
  const header = data.subarray(0, data.readUInt16LE(0));
  const list = data.subarray(header.length);
  const count = list.readUInt32LE(0);
  const [names, places] = [0, 4].map((field) =>
    Array.from({ length: count }, (_none, index) => list.readUInt32LE(4 + index * 8 + field)),
  ) as [number[], number[]];
  const items = names.map((at, index) => ({
    name: list.toString('latin1', at, list.indexOf(0, at)),
    bytes: list.subarray(places[index], places[index + 1] ?? list.length),
  }));
  return { header, items };
}

/** @param items sorted by name, since ICU looks for them by halves */
export function writePackage(header: Buffer, items: readonly Item[]): Buffer {
  const names = Buffer.from(items.map(({ name }) => `${name}\0`).join(''), 'latin1');
  const list = Buffer.alloc(aligned(header.length + 4 + items.length * 8 + names.length) - header.length);
  list.writeUInt32LE(items.length);
  names.copy(list, 4 + items.length * 8);
  let [name, place] = [4 + items.length * 8, list.length];
  const padded = items.map(({ bytes }) => Buffer.concat([bytes], aligned(bytes.length)));
  for (const [index, item] of items.entries()) {
    list.writeUInt32LE(name, 4 + index * 8);
    list.writeUInt32LE(place, 8 + index * 8);
    name += item.name.length + 1;
    place += padded[index]?.length ?? 0;
  }
  return Buffer.concat([header, list, ...padded]);
}

const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/**
 * What one page of SQLite's file holds, read without SQLite: for pages that it no longer finds its way to.
 *
 *   page:   type, …, cells (offset 3, two bytes) | offsets of the cells, two bytes each | … | cells
 *   cell:   length, [key], record, [first page of what did not fit]
 *   record: length of its head, types | values
 *
 * (SQLite, "Database File Format", sections 1.6 and 2.1.)
 */
import { pageBytes } from './schema.ts';

/** Texts and blobs as their bytes; fractions are not ours, and are NaN. */
export type Value = number | null | Buffer;

export interface PageRecord {
  /** NaN in an index, and where it is too large for a number. */
  readonly key: number;
  readonly values: readonly Value[];
}

export interface ReadOptions {
  /** The file's first page begins with the file's own head. */
  readonly isFirst: boolean;
  /** Also what its head does not count, whatever type it says: what was there before, or what a flipped bit hides. */
  readonly isLenient: boolean;
  /** Another page of the same file. */
  readonly page: (number: number) => Buffer | undefined;
}

export const tableLeaf = 0x0d;
export const indexLeaf = 0x0a;
const fileHeadBytes = 100;
const pageHeadBytes = 8;
/** Twice the longest event. */
const longestRecord = 256 * 1024;
const mostColumns = 16;
/** Offsets that point nowhere: a page with more is no damaged page of its kind, but one of another. */
const mostOutside = 4;

/** What makes no sense is left out: never throws. */
export function* recordsOf(page: Buffer, kind: number, options: ReadOptions): Generator<PageRecord> {
  const start = options.isFirst ? fileHeadBytes : 0;
  const isOfKind = page[start] === kind;
  if (!isOfKind && !options.isLenient) return;
  const first = start + pageHeadBytes;
  const counted = page.readUInt16BE(start + 3);
  const most = Math.floor((pageBytes - first) / 2);
  let outside = 0;
  for (let index = 0; index < most; index += 1) {
    const at = page.readUInt16BE(first + 2 * index);
    const isInside = at >= first + 2 && at < pageBytes - 2;
    if (index >= counted && (!options.isLenient || !isInside)) return;
    outside += isInside ? 0 : 1;
    if (!isOfKind && outside > mostOutside) return;
    const record = isInside ? recordAt(page, at, kind, options) : undefined;
    if (record) yield record;
  }
}

function recordAt(page: Buffer, at: number, kind: number, options: ReadOptions): PageRecord | undefined {
  const length = varint(page, at);
  if (!(length.value > 0 && length.value <= longestRecord)) return undefined;
  const key = kind === tableLeaf ? varint(page, length.next) : { value: Number.NaN, next: length.next };
  const payload = payloadAt(page, key.next, length.value, kind, options);
  const values = payload && valuesOf(payload);
  return values && { key: key.value, values };
}

/** Section 1.6: how much of a record is on the page itself. */
function payloadAt(page: Buffer, at: number, length: number, kind: number, { page: other }: ReadOptions) {
  const most = kind === tableLeaf ? pageBytes - 35 : Math.floor(((pageBytes - 12) * 64) / 255) - 23;
  if (length <= most) return at + length <= pageBytes ? page.subarray(at, at + length) : undefined;
  const least = Math.floor(((pageBytes - 12) * 32) / 255) - 23;
  const local = least + ((length - least) % (pageBytes - 4));
  const here = local <= most ? local : least;
  if (at + here + 4 > pageBytes) return undefined;
  const parts = [page.subarray(at, at + here)];
  let number = page.readUInt32BE(at + here);
  for (let missing = length - here; missing > 0; missing -= pageBytes - 4) {
    const next = other(number);
    if (!next) return undefined;
    parts.push(next.subarray(4, 4 + Math.min(missing, pageBytes - 4)));
    number = next.readUInt32BE(0);
  }
  return Buffer.concat(parts);
}

function valuesOf(payload: Buffer): Value[] | undefined {
  const head = varint(payload, 0);
  if (head.value > payload.length) return undefined;
  const values: Value[] = [];
  let at = head.value;
  for (let next = head.next; next < head.value;) {
    const type = varint(payload, next);
    next = type.next;
    const bytes = sizeOf(type.value);
    if (!(at + bytes <= payload.length) || values.length === mostColumns) return undefined;
    values.push(valueAt(payload, at, type.value, bytes));
    at += bytes;
  }
  return values;
}

const integerBytes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

/** NaN for types that there are not. */
const sizeOf = (type: number): number =>
  type >= 12 ? Math.floor((type - 12) / 2) : (integerBytes[type] ?? Number.NaN);

function valueAt(payload: Buffer, at: number, type: number, bytes: number): Value {
  if (type >= 12) return payload.subarray(at, at + bytes);
  if (type === 0) return null;
  if (type >= 8) return type - 8;
  if (type === 7) return Number.NaN;
  return bytes === 8 ? Number(payload.readBigInt64BE(at)) : payload.readIntBE(at, bytes);
}

/** Seven bits a byte, the most significant first; NaN where it does not end, or does not fit a number. */
function varint(bytes: Buffer, from: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let at = from; at < Math.min(from + 8, bytes.length); at += 1) {
    const byte = bytes[at] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value: Number.isSafeInteger(value) ? value : Number.NaN, next: at + 1 };
  }
  return { value: Number.NaN, next: from + 9 };
}

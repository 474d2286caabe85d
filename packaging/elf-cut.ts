/**
 * Takes bytes out of the middle of an executable. Every address stays: what lay there is not mapped any more, and what lies
 * behind moves forward in the file alone.
 *
 *   file    | code, data | kept part, headers |   cut   | data, blob |
 *                                             x---------x
 *   memory  | code, data | kept part, headers | nothing | data, blob |     one segment more: before and behind
 *
 * The program headers go to the end of the kept part. One more does not fit where they were; and kernels before 5.18 tell the
 * program where they are by their place in the file, which is right only before the cut (binfmt_elf.c, `load_addr + e_phoff`).
 *
 * ELF64, little-endian: System V ABI, chapters 4 and 5.
 */
import { OutpostError } from '#agent/core/errors.ts';

const load = 1;
const programHeaders = 6;
const segmentBytes = 56;
const sectionBytes = 64;
const noBits = 8;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  /** Virtual, and physical, which nothing uses. */
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly align: number;
}

/**
 * @param address where the bytes are in memory
 * @param kept how many of them stay, at least
 * @param bytes how many there are
 * @returns a shorter file
 * @throws OutpostError `package-failed` when the file is not laid out as it has to be
 */
export function cut(file: Buffer, address: number, kept: number, bytes: number): Buffer {
  const segments = readSegments(file);
  const around = segments.findIndex(
    ({ type, address: start, fileBytes }) => type === load && start <= address && address + bytes <= start + fileBytes,
  );
  const segment = segments[around];
  if (!segment) throw failed('What is to be cut is in no segment.');
  const table = Math.ceil((address + kept) / 16) * 16;
  const page = Math.max(segment.align, 0x1000);
  const from = Math.ceil((table + (segments.length + 1) * segmentBytes) / page) * page;
  const to = Math.floor((address + bytes) / page) * page;
  if (to <= from) return file;
  const inFile = (place: number): number => segment.offset + place - segment.address;
  const [start, end] = [inFile(from), inFile(to)];
  const behind = (offset: number): number => (offset < end ? offset : offset - (end - start));
  const moved = segments.map((each) => ({ ...each, offset: behind(each.offset) }));
  moved.splice(around, 1, ...halves(segment, from, to, start));
  checkPlaces(moved, segment.address - segment.offset);
  const result = Buffer.concat([file.subarray(0, start), file.subarray(end)]);
  result.fill(0, inFile(address + kept), start);
  result.fill(0, start, start + address + bytes - to);
  moveSections(result, Number(file.readBigUInt64LE(40)), start, end);
  writeSegments(result, moved, table, inFile(table));
  return result;
}

/** Where in the file an address lies. @throws OutpostError `package-failed` */
export function placeInFile(file: Buffer, address: number): number {
  const segment = readSegments(file).find(
    ({ type, address: start, fileBytes }) => type === load && start <= address && address < start + fileBytes,
  );
  if (!segment) throw failed(`Nothing lies at ${address.toString(16)}.`);
  return segment.offset + address - segment.address;
}

/** Of one segment, what is before the cut and what is behind it, in the shorter file. */
const halves = (segment: Segment, from: number, to: number, start: number): readonly Segment[] => {
  const [before, behind] = [from - segment.address, to - segment.address];
  return [
    { ...segment, fileBytes: before, memoryBytes: before },
    {
      ...segment,
      offset: start,
      address: to,
      fileBytes: segment.fileBytes - behind,
      memoryBytes: segment.memoryBytes - behind,
    },
  ];
};

/** @param base what the loader adds to the place of the program headers to find them in memory */
function checkPlaces(segments: readonly Segment[], base: number): void {
  const loaded = segments.filter(({ type }) => type === load);
  if (loaded[0] && loaded[0].address - loaded[0].offset !== base) throw failed('Its first segment lies elsewhere.');
  for (const { address, offset, align } of loaded) {
    if ((address - offset) % align !== 0) throw failed(`A segment cannot be loaded at ${address.toString(16)}.`);
  }
}

function readSegments(file: Buffer): readonly Segment[] {
  const [at, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  if (size !== segmentBytes) throw failed('Its program headers have another size.');
  return Array.from({ length: count }, (_none, index) => {
    const start = at + index * size;
    const wide = (field: number): number => Number(file.readBigUInt64LE(start + field));
    return {
      type: file.readUInt32LE(start),
      flags: file.readUInt32LE(start + 4),
      offset: wide(8),
      address: wide(16),
      fileBytes: wide(32),
      memoryBytes: wide(40),
      align: wide(48),
    };
  });
}

function writeSegments(file: Buffer, segments: readonly Segment[], address: number, offset: number): void {
  const bytes = segments.length * segmentBytes;
  for (const [index, segment] of segments.entries()) {
    const own = segment.type === programHeaders ? { offset, address, fileBytes: bytes, memoryBytes: bytes } : {};
    const { type, flags, ...rest } = { ...segment, ...own };
    const start = offset + index * segmentBytes;
    file.writeUInt32LE(type, start);
    file.writeUInt32LE(flags, start + 4);
    const fields = [rest.offset, rest.address, rest.address, rest.fileBytes, rest.memoryBytes, rest.align];
    for (const [field, value] of fields.entries()) file.writeBigUInt64LE(BigInt(value), start + 8 + field * 8);
  }
  file.writeBigUInt64LE(BigInt(offset), 32);
  file.writeUInt16LE(segments.length, 56);
}

/** The section that was cut ends there: it has one place in the file, and nothing that runs reads of sections. */
function moveSections(file: Buffer, before: number, start: number, end: number): void {
  const at = before < end ? before : before - (end - start);
  file.writeBigUInt64LE(BigInt(at), 40);
  for (let index = 0; index < file.readUInt16LE(60); index += 1) {
    const header = at + index * sectionBytes;
    const [offset, size] = [24, 32].map((field) => Number(file.readBigUInt64LE(header + field))) as [number, number];
    if (offset >= end) file.writeBigUInt64LE(BigInt(offset - (end - start)), header + 24);
    else if (offset + size > start && file.readUInt32LE(header + 4) !== noBits) {
      file.writeBigUInt64LE(BigInt(Math.max(start - offset, 0)), header + 32);
    }
  }
}

const failed = (why: string): OutpostError => new OutpostError('package-failed', `Node cannot be made smaller: ${why}`);

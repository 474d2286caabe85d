/**
 * A device's registers as data: what stands where, of which type, in which unit, and what may be written.
 *
 *   options --registerMap--> points, actions, poll groups      words, bits <--points--> values
 */
import { z } from 'zod';
import type { ReadingMember } from '#agent/domain/reading.ts';
import { safetyClasses } from '../driver.ts';

export const tables = ['coil', 'discrete', 'holding', 'input'] as const;
export type Table = (typeof tables)[number];
export const isBitTable = (table: Table): boolean => table === 'coil' || table === 'discrete';

const wordsOf = {
  bool: 1,
  uint16: 1,
  int16: 1,
  uint32: 2,
  int32: 2,
  float32: 2,
  uint64: 4,
  int64: 4,
  float64: 4,
} as const;
const types = [
  'bool',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'uint64',
  'int64',
  'float64',
  'string',
] as const;

const meta = (title: string, description: string, unit?: string) => ({
  title,
  description,
  ...(unit === undefined ? {} : { unit }),
  restart: 'peripheral' as const,
});

const name = z
  .string()
  .regex(/^[a-z][A-Za-z0-9]{0,31}$/, 'must be 1 to 32 letters and digits, beginning with a small letter');
const address = z.int().min(0).max(0xffff);

export const pointSchema = z.strictObject({
  name: name.meta(meta('Name', 'Of the property in readings and rules.')),
  title: z.string().optional().meta(meta('Title', 'For people; default: the name.')),
  table: z.enum(tables).meta(meta('Table', '`coil` and `discrete` hold bits, `holding` and `input` registers.')),
  address: address.meta(meta('Address', 'As on the wire, from 0: register 40001 of a manual is holding 0.')),
  type: z.enum(types).default('uint16').meta(meta('Type', 'Of registers; bits are always `bool`.')),
  order: z
    .enum(['abcd', 'cdab', 'badc', 'dcba'])
    .default('abcd')
    .meta(meta('Order', 'Of the bytes of two registers or more: `abcd` big end first, `cdab` low register first.')),
  length: z.int().min(1).max(60).default(1).meta(meta('Length', 'Registers of a `string`.')),
  bit: z
    .int()
    .min(0)
    .max(15)
    .optional()
    .meta(meta('Bit', 'Which bit of a register a `bool` is; absent: anything but 0.')),
  scale: z.number().default(1).meta(meta('Scale', 'The raw number times this.')),
  offset: z.number().default(0).meta(meta('Offset', 'Added after the scale.')),
  unit: z.string().optional().meta(meta('Unit', 'UCUM, such as `Cel`, `%`, `V`.')),
  values: z
    .record(z.string().regex(/^-?\d+$/), z.string())
    .default({})
    .meta(meta('Values', 'Words for raw numbers, such as 0: shut, 1: open.')),
  invert: z.boolean().default(false).meta(meta('Invert', 'A `bool` the other way round.')),
  invalid: z.number().optional().meta(meta('Invalid', 'The raw number that means no measurement.')),
  min: z.number().optional().meta(meta('Least', 'What is below is told with quality `bad`.')),
  max: z.number().optional().meta(meta('Most', 'What is above is told with quality `bad`.')),
  deadband: z.number().min(0).default(0).meta(meta('Deadband', 'A smaller change is not sent upstream.')),
  group: z.enum(['fast', 'normal', 'slow']).default('normal').meta(meta('Poll group', 'How often it is asked.')),
});
export type Point = z.infer<typeof pointSchema>;

const member = z.union([z.boolean(), z.number(), z.string()]);

export const writeSchema = z.strictObject({
  name: name.meta(meta('Name', 'Of the action.')),
  title: z.string().optional().meta(meta('Title', 'For people; default: the name.')),
  point: z.string().meta(meta('Point', 'Name of the point that is written: a coil or a holding register.')),
  value: member.optional().meta(meta('Value', 'What is written; absent: the argument `value`.')),
  least: z.number().optional().meta(meta('Least', 'The argument is refused below.')),
  most: z.number().optional().meta(meta('Most', 'The argument is refused above.')),
  safety: z.enum(safetyClasses).meta(meta('Safety', 'What it can do in the world.')),
  idempotent: z
    .boolean()
    .default(true)
    .meta(meta('Idempotent', 'Twice is once. Off for what counts or toggles: it is never repeated.')),
  require: z
    .array(
      z.strictObject({
        property: z.string().meta(meta('Property', 'Asked first.')),
        oneOf: z.array(member).min(1).meta(meta('One of', 'It must be one of these.')),
      }),
    )
    .default([])
    .meta(meta('Guards', 'Asked before anything is written.')),
  shownBy: z
    .strictObject({
      property: z.string().meta(meta('Property', 'Asked when no answer came.')),
      is: member.meta(meta('Is', 'This shows that it was done.')),
    })
    .optional()
    .meta(
      meta('Shown by', 'The property that shows that it was done; default: the point itself, where it can be read.'),
    ),
  deadline: z
    .int()
    .min(100)
    .max(60_000)
    .default(3_000)
    .meta(meta('Deadline', 'For an answer.', 'ms')),
});
export type Write = z.infer<typeof writeSchema>;

/** Registers or bits that the point takes. */
export const widthOf = ({ table, type, length }: Pick<Point, 'table' | 'type' | 'length'>): number =>
  isBitTable(table) ? 1 : type === 'string' ? length : wordsOf[type];

/** @returns undefined when it is no measurement */
export function valueOf(point: Point, raw: readonly number[]): ReadingMember | undefined {
  const { table, type, bit, invert, values, scale, offset, invalid } = point;
  if (isBitTable(table)) return worded(values, raw[0] ?? 0) ?? (raw[0] === 1) !== invert;
  if (type === 'string') return textOf(raw);
  if (type === 'bool') {
    const isSet = bit === undefined ? raw[0] !== 0 : ((raw[0] ?? 0) & (1 << bit)) !== 0;
    return worded(values, isSet ? 1 : 0) ?? isSet !== invert;
  }
  const number = numberOf(point, raw);
  if (number === invalid || !Number.isFinite(number)) return undefined;
  return worded(values, number) ?? (scale === 1 && offset === 0 ? number : tidy(number * scale + offset));
}

/** @returns undefined when the value has no place in the point */
export function rawOf(point: Point, value: ReadingMember): readonly number[] | undefined {
  const { table, type, invert, values, scale, offset } = point;
  const word = Object.entries(values).find(([, text]) => text === value)?.[0];
  if (isBitTable(table) || type === 'bool') {
    if (word !== undefined) return [Number(word)];
    return typeof value === 'boolean' ? [value !== invert ? 1 : 0] : undefined;
  }
  if (type === 'string') return undefined;
  const number = word === undefined ? (Number(value) - offset) / scale : Number(word);
  if (typeof value === 'boolean' || !Number.isFinite(number)) return undefined;
  return wordsFrom(point, number);
}

const worded = (values: Point['values'], raw: number): string | undefined =>
  Object.hasOwn(values, String(raw)) ? values[String(raw)] : undefined;

/** A scale of 0.1 makes 21.400000000000002 of 214. */
const tidy = (value: number): number => Number(value.toPrecision(15));

function textOf(raw: readonly number[]): string {
  const bytes = raw.flatMap((word) => [word >> 8, word & 0xff]);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.slice(0, end))
    .toString('latin1')
    .trim();
}

function viewOf({ order }: Point, words: readonly number[]): DataView {
  const bytes = Uint8Array.from(ordered(words, order).flatMap((word) => [word >> 8, word & 0xff]));
  return new DataView(bytes.buffer);
}

/** The same both ways. */
function ordered(words: readonly number[], order: Point['order']): readonly number[] {
  const swapped =
    order === 'badc' || order === 'dcba' ? words.map((word) => ((word & 0xff) << 8) | (word >> 8)) : words;
  return order === 'cdab' || order === 'dcba' ? swapped.toReversed() : swapped;
}

function numberOf(point: Point, words: readonly number[]): number {
  const view = viewOf(point, words);
  switch (point.type) {
    case 'int16':
      return view.getInt16(0);
    case 'uint32':
      return view.getUint32(0);
    case 'int32':
      return view.getInt32(0);
    case 'float32':
      return Math.fround(view.getFloat32(0));
    case 'uint64':
      return Number(view.getBigUint64(0));
    case 'int64':
      return Number(view.getBigInt64(0));
    case 'float64':
      return view.getFloat64(0);
    case 'uint16':
    case 'bool':
    case 'string':
      return view.getUint16(0);
  }
}

function wordsFrom(point: Point, number: number): readonly number[] | undefined {
  const view = new DataView(new ArrayBuffer(widthOf(point) * 2));
  const limits = integerLimits[point.type as keyof typeof integerLimits];
  const whole = Math.round(number);
  if (limits && (whole < limits[0] || whole > limits[1])) return undefined;
  if (point.type === 'float32') view.setFloat32(0, number);
  else if (point.type === 'float64') view.setFloat64(0, number);
  else if (point.type === 'uint64' || point.type === 'int64') view.setBigInt64(0, BigInt(whole));
  else if (point.type === 'uint32' || point.type === 'int32') view.setInt32(0, whole);
  else view.setInt16(0, whole);
  const words = Array.from({ length: widthOf(point) }, (_unused, index) => view.getUint16(index * 2));
  return ordered(words, point.order);
}

const integerLimits = {
  uint16: [0, 0xffff],
  int16: [-0x8000, 0x7fff],
  uint32: [0, 0xffff_ffff],
  int32: [-0x8000_0000, 0x7fff_ffff],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
} as const;

/** Points that one request asks for. */
export interface Block {
  readonly table: Table;
  readonly address: number;
  readonly count: number;
  readonly points: readonly Point[];
}

/** Neighbours of one table are asked for together; a gap is not bridged, for what lies in it may be refused. */
export function blocksOf(points: readonly Point[], mostRegisters: number): readonly Block[] {
  const blocks: Block[] = [];
  const sorted = points.toSorted((a, b) => tables.indexOf(a.table) - tables.indexOf(b.table) || a.address - b.address);
  for (const point of sorted) {
    const last = blocks.at(-1);
    const end = point.address + widthOf(point);
    const most = isBitTable(point.table) ? mostRegisters * 16 : mostRegisters;
    const joins =
      last?.table === point.table && point.address <= last.address + last.count && end - last.address <= most;
    if (!last || !joins)
      blocks.push({ table: point.table, address: point.address, count: widthOf(point), points: [point] });
    else
      blocks[blocks.length - 1] = {
        ...last,
        count: Math.max(last.count, end - last.address),
        points: [...last.points, point],
      };
  }
  return blocks;
}

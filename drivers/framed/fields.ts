/** Bytes of a body and what they mean, both ways. */
import type { ReadingMember } from '#agent/domain/reading.ts';
import type { Field } from './manifest.ts';

export const fieldTypes = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bcd',
  'text',
] as const;
export type FieldType = (typeof fieldTypes)[number];

const sizes: Readonly<Record<Exclude<FieldType, 'text'>, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bcd: 1,
};

export const sizeOf = ({ type, length }: Pick<Field, 'type' | 'length'>): number =>
  type === 'text' ? length : sizes[type];

/** @returns undefined where the body is too short, or the digits are none */
export function fieldValue(field: Field, body: Uint8Array): ReadingMember | undefined {
  const { at, type, bit, scale, offset, values } = field;
  if (body.length < at + sizeOf(field)) return undefined;
  if (type === 'text')
    return Buffer.from(body.subarray(at, at + field.length))
      .toString('latin1')
      .trim();
  const raw = rawNumber(field, body);
  if (raw === undefined || !Number.isFinite(raw)) return undefined;
  const number = type === 'bool' ? (bit === undefined ? (raw === 0 ? 0 : 1) : (raw >> bit) & 1) : raw;
  if (Object.hasOwn(values, String(number))) return values[String(number)];
  if (type === 'bool') return number === 1;
  return scale === 1 && offset === 0 ? number : Number((number * scale + offset).toPrecision(15));
}

function rawNumber({ at, type, order }: Field, body: Uint8Array): number | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const little = order === 'little';
  switch (type) {
    case 'int8':
      return view.getInt8(at);
    case 'uint16':
      return view.getUint16(at, little);
    case 'int16':
      return view.getInt16(at, little);
    case 'uint32':
      return view.getUint32(at, little);
    case 'int32':
      return view.getInt32(at, little);
    case 'float32':
      return view.getFloat32(at, little);
    case 'bcd': {
      const [high, low] = [view.getUint8(at) >> 4, view.getUint8(at) & 15];
      return high > 9 || low > 9 ? undefined : high * 10 + low;
    }
    case 'bool':
    case 'uint8':
    case 'text':
      return view.getUint8(at);
  }
}

export type TemplatePart =
  | { readonly is: 'bytes'; readonly bytes: readonly number[] }
  | { readonly is: 'argument'; readonly name: string; readonly type: TemplateType };

const templateTypes = ['uint8', 'int8', 'uint16', 'uint16le', 'uint32', 'uint32le', 'bcd', 'text'] as const;
type TemplateType = (typeof templateTypes)[number];

/** `01 {box:uint8} 00`. @returns undefined when it is not such */
export function parseTemplate(text: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  for (const token of text.match(/\{[^}]*\}|[^\s{]+/g) ?? []) {
    const argument = /^\{([a-z][A-Za-z0-9]*):([a-z0-9]+)\}$/.exec(token);
    const type = templateTypes.find((known) => known === argument?.[2]);
    if (argument && type) parts.push({ is: 'argument', name: argument[1] as string, type });
    else if (/^([0-9a-fA-F]{2})+$/.test(token)) parts.push({ is: 'bytes', bytes: [...Buffer.from(token, 'hex')] });
    else return undefined;
  }
  return parts;
}

export function fillTemplate(parts: readonly TemplatePart[], args: Readonly<Record<string, unknown>>): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => (part.is === 'bytes' ? part.bytes : argumentBytes(part.type, args[part.name]))),
  );
}

function argumentBytes(type: TemplateType, value: unknown): readonly number[] {
  if (type === 'text') return [...Buffer.from(String(value), 'latin1')];
  const number = Number(value);
  if (type === 'bcd') return [(Math.floor(number / 10) % 10) * 16 + (number % 10)];
  const size = type.startsWith('uint32') ? 4 : type.startsWith('uint16') ? 2 : 1;
  const bytes = Array.from({ length: size }, (_unused, index) => Math.floor(number / 256 ** (size - 1 - index)) & 0xff);
  return type.endsWith('le') ? bytes.toReversed() : bytes;
}

/** @returns the arguments of a body that was made from the template, or undefined when it was not */
export function readTemplate(
  parts: readonly TemplatePart[],
  body: Uint8Array,
): Readonly<Record<string, number | string>> | undefined {
  const args: Record<string, number | string> = {};
  let at = 0;
  for (const part of parts) {
    if (part.is === 'bytes') {
      if (part.bytes.some((byte, index) => body[at + index] !== byte)) return undefined;
      at += part.bytes.length;
      continue;
    }
    const rest = part.type === 'text' ? body.length - at : argumentBytes(part.type, 0).length;
    if (body.length < at + rest) return undefined;
    args[part.name] = argumentValue(part.type, body.subarray(at, at + rest));
    at += rest;
  }
  return at === body.length ? args : undefined;
}

function argumentValue(type: TemplateType, bytes: Uint8Array): number | string {
  if (type === 'text') return Buffer.from(bytes).toString('latin1');
  if (type === 'bcd') return ((bytes[0] ?? 0) >> 4) * 10 + ((bytes[0] ?? 0) & 15);
  return (type.endsWith('le') ? bytes.toReversed() : bytes).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** Bytes of a template; undefined when a text makes it of any length. */
export const templateSize = (parts: readonly TemplatePart[]): number | undefined =>
  parts.some((part) => part.is === 'argument' && part.type === 'text')
    ? undefined
    : parts.reduce(
        (sum, part) => sum + (part.is === 'bytes' ? part.bytes.length : argumentBytes(part.type, 0).length),
        0,
      );

/**
 * The schema as data: what stands at a path, its meta, and how it is written. The one place that looks inside zod.
 */
import { z } from 'zod';
import type { Path } from './path.ts';

export interface Meta {
  readonly title?: string;
  readonly description?: string;
  /** `duration`, `size`, `time of day`: written with a unit. Others are for the reader, such as `px`. */
  readonly unit?: string;
  readonly examples?: readonly unknown[];
  /** `true`: never shown. `url`: shown without what redactUrl hides. */
  readonly secret?: boolean | 'url';
  readonly restart?: 'camera' | 'vision' | 'uplink' | 'peripheral' | 'agent';
}

export interface Field {
  /** Without its wrappers: object, array, record, tuple, union or a leaf. */
  readonly schema: z.core.$ZodType;
  readonly meta: Meta;
  /** As it would be written; undefined when there is none. */
  readonly byDefault: unknown;
  readonly optional: boolean;
}

/** Peels defaults, optionals and transforms off; the outer meta wins. */
export function fieldOf(schema: z.core.$ZodType): Field {
  const meta = (z.globalRegistry.get(schema) ?? {}) as Meta;
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return { ...outer(fieldOf(schema.def.innerType), meta), byDefault: schema.def.defaultValue, optional: true };
  }
  if (schema instanceof z.ZodOptional) return { ...outer(fieldOf(schema.def.innerType), meta), optional: true };
  if (schema instanceof z.ZodPipe) return outer(fieldOf(schema.def.in), meta);
  return { schema, meta, byDefault: undefined, optional: false };
}

const outer = (field: Field, meta: Meta): Field => ({ ...field, meta: { ...field.meta, ...meta } });

/** The named fields of a section. */
export const keysOf = ({ schema }: Field): ReadonlyMap<string, z.core.$ZodType> =>
  new Map(schema instanceof z.ZodObject ? Object.entries(schema.shape) : []);

/** The kinds of a discriminated union, by the word that tells them apart. */
export function kindsOf({ schema }: Field): ReadonlyMap<string, Field> {
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return new Map();
  const { discriminator } = schema.def;
  return new Map(
    schema.options.map((option) => {
      const field = fieldOf(option);
      const word = fieldOf(keysOf(field).get(discriminator) as z.core.$ZodType).schema as z.ZodLiteral;
      return [String(word.value), field];
    }),
  );
}

/** What the items of a list or record are. */
export function itemOf({ schema }: Field, index = 0): Field | undefined {
  if (schema instanceof z.ZodArray) return fieldOf(schema.element);
  if (schema instanceof z.ZodTuple) return schema.def.items[index] && fieldOf(schema.def.items[index]);
  if (schema instanceof z.ZodRecord) return fieldOf(schema.valueType);
  return undefined;
}

/** The field at a path of `data`; undefined where the schema knows nothing of it. */
export function fieldAt(root: z.core.$ZodType, path: Path, data: unknown): Field | undefined {
  let field: Field | undefined = fieldOf(root);
  let value = data;
  for (const step of path) {
    if (!field) return undefined;
    field = narrowed(field, value);
    const child = typeof step === 'string' ? field && keysOf(field).get(step) : undefined;
    if (child) field = fieldOf(child);
    else field = field && itemOf(field, Number(step));
    value = (value as Record<string | number, unknown> | null | undefined)?.[step];
  }
  return field && (narrowed(field, value) ?? field);
}

function narrowed(field: Field, value: unknown): Field | undefined {
  if (!(field.schema instanceof z.ZodDiscriminatedUnion)) return field;
  const word = (value as Record<string, unknown> | null | undefined)?.[field.schema.def.discriminator];
  const kind = kindsOf(field).get(String(word));
  return kind && { ...kind, meta: { ...field.meta, ...kind.meta } };
}

export interface Leaf extends Field {
  /** Such as `cameras[].url` or `rules[zone].labels`. */
  readonly pattern: string;
}

/** Every leaf of the schema, in order; lists of plain values and points are leaves. */
export function leavesOf(root: z.core.$ZodType, pattern = ''): readonly Leaf[] {
  return leavesIn(fieldOf(root), pattern);
}

function leavesIn(field: Field, pattern: string): readonly Leaf[] {
  const keys = keysOf(field);
  if (keys.size > 0) {
    return [...keys].flatMap(([key, schema]) => leavesOf(schema, pattern === '' ? key : `${pattern}.${key}`));
  }
  const item = field.schema instanceof z.ZodArray ? itemOf(field) : undefined;
  if (item && keysOf(item).size > 0) return leavesIn(item, `${pattern}[]`);
  if (item && kindsOf(item).size > 0) {
    return [...kindsOf(item)].flatMap(([kind, inner]) => leavesIn(inner, `${pattern}[${kind}]`));
  }
  return [{ ...field, pattern }];
}

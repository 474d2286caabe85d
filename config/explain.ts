/** Every value of a configuration, as it would be written, and who said it. */
import { formatBytes } from '#agent/core/bytes.ts';
import { formatDuration } from '#agent/core/duration.ts';
import { type Field, fieldAt } from './fields.ts';
import { formatTimeOfDay } from './leaves.ts';
import { originText } from './layers.ts';
import type { LoadResult } from './load.ts';
import { isPlain, type Path, pathText } from './path.ts';
import { configSchema, type ConfigSchema } from './schema.ts';
import { shownSecret } from './secrets.ts';

export interface Explained {
  readonly path: string;
  /** As in the file; secrets hidden. */
  readonly value: string;
  /** Where the value does not carry it already. */
  readonly unit: string | undefined;
  /** `default`, `profile NAME`, `FILE:LINE` or `override`. */
  readonly origin: string;
}

/** In the order of the schema; what is absent and has no default is left out. */
export const explain = (
  { config, originOf }: Pick<LoadResult, 'config' | 'originOf'>,
  schema: ConfigSchema = configSchema,
): readonly Explained[] =>
  valuesIn(config, [], (path) => fieldAt(schema, path, config)).map(({ path, value, field }) => ({
    path: pathText(path),
    value: written(value, field),
    unit: isWrittenUnit(field) ? undefined : field?.meta.unit,
    origin: originText(originOf(path)),
  }));

interface Value {
  readonly path: Path;
  readonly value: unknown;
  readonly field: Field | undefined;
}

function valuesIn(value: unknown, path: Path, fieldOf: (path: Path) => Field | undefined): Value[] {
  if (value === undefined) return [];
  if (isPlain(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([key, inner]) => valuesIn(inner, [...path, key], fieldOf));
  }
  if (Array.isArray(value) && value.some(isPlain)) {
    return (value as unknown[]).flatMap((inner, index) => valuesIn(inner, [...path, index], fieldOf));
  }
  return [{ path, value, field: fieldOf(path) }];
}

const isWrittenUnit = (field: Field | undefined): boolean =>
  field?.meta.unit !== undefined && field.meta.unit in writers;

const writers: Readonly<Record<string, (value: number) => string>> = {
  duration: formatDuration,
  size: formatBytes,
  'time of day': formatTimeOfDay,
};

function written(value: unknown, field: Field | undefined): string {
  const { secret, unit } = field?.meta ?? {};
  if (secret) return shownSecret(value, secret);
  const write = unit === undefined ? undefined : writers[unit];
  if (write && typeof value === 'number') return write(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

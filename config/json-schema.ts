/** The schema for editors: what may be written, with titles, units, defaults and the places of secrets. */
import { z } from 'zod';
import type { Meta } from './fields.ts';
import { configSchema, type ConfigSchema } from './schema.ts';

type Json = Record<string, unknown>;

const patterns: Readonly<Record<string, string>> = {
  duration: '^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)$',
  size: '^\\d+(\\.\\d+)?\\s*(B|KiB|MiB|GiB|TiB)$',
  'time of day': '^\\d{1,2}:\\d{2}$',
};

const secretFile = {
  type: 'object',
  description: 'The secret is the text of this file; a relative path starts at the configuration’s folder.',
  properties: { file: { type: 'string', description: 'Path of a file that holds the secret alone.' } },
  required: ['file'],
  additionalProperties: false,
};

/** `config/outpost.schema.json` */
export function configJsonSchema(config: ConfigSchema = configSchema): Json {
  const schema = z.toJSONSchema(config, { io: 'input', override: ({ jsonSchema }) => forEditors(jsonSchema) });
  return { ...schema, title: 'Outpost configuration', description: 'outpost.yaml; see config/REFERENCE.md' };
}

function forEditors(schema: Json): void {
  const { unit, secret, description } = schema as Json & Meta;
  delete schema['restart'];
  delete schema['secret'];
  delete schema['unit'];
  if (unit !== undefined) {
    const pattern = patterns[unit];
    if (pattern !== undefined && schema['type'] === 'string') schema['pattern'] = pattern;
    if (description !== undefined) schema['description'] = `${description} (${unit})`;
  }
  if (secret && schema['type'] === 'string') asSecret(schema);
  // zod bounds integers by what a double holds; to a person that is no bound.
  for (const bound of ['minimum', 'maximum']) {
    if (Math.abs(Number(schema[bound])) === Number.MAX_SAFE_INTEGER) delete schema[bound];
  }
}

function asSecret(schema: Json): void {
  const { type, minLength, pattern, ...rest } = schema;
  const text = Object.fromEntries(
    Object.entries({ type, minLength, pattern }).filter(([, value]) => value !== undefined),
  );
  for (const key of Object.keys(schema)) delete schema[key];
  Object.assign(schema, rest, { anyOf: [text, secretFile] });
}

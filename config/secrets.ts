/**
 * What must never be shown: which leaves the schema calls secret, their values, and secrets that live in files.
 *
 *   password: { file: /run/credentials/mqtt }  --resolveSecrets-->  password: …
 */
import { resolve } from 'node:path';
import { systemCode } from '#agent/core/errors.ts';
import { redactUrl } from '#agent/core/redact-url.ts';
import { fieldAt, leavesOf, type Meta } from './fields.ts';
import type { Complaint } from './issues.ts';
import { readBounded } from './read-bounded.ts';
import { isPlain, listOf, type Path, type Plain, valueAt, withValueAt } from './path.ts';
import { type Config, configSchema, type ConfigSchema } from './schema.ts';

const maxSecretBytes = 4096;

/** Patterns of the secret leaves, such as `cameras[].url`. */
export const secretPatterns = (schema: ConfigSchema = configSchema): readonly string[] =>
  leavesOf(schema)
    .filter(({ meta }) => meta.secret !== undefined && meta.secret !== false)
    .map(({ pattern }) => pattern);

/** Where the secrets stand in this data. */
export function secretPaths(data: unknown, schema: ConfigSchema = configSchema): readonly Path[] {
  return secretPatterns(schema).flatMap((pattern) => expand(data, pattern.split('.')));
}

function expand(data: unknown, [step, ...rest]: readonly string[]): Path[] {
  if (step === undefined) return data === undefined ? [] : [[]];
  const [, key = step, kind] = /^([^[]+)\[(.*)\]$/.exec(step) ?? [];
  const value = isPlain(data) ? data[key] : undefined;
  if (kind === undefined) return under([key], expand(value, rest));
  return listOf(value).flatMap((item, index) => (isOfKind(item, kind) ? under([key, index], expand(item, rest)) : []));
}

/** `rules[zone]`: one kind of a list; `cameras[]`: every item. */
const isOfKind = (item: unknown, kind: string): boolean =>
  kind === '' || (isPlain(item) && (item['kind'] === kind || item['driver'] === kind));

const under = (head: Path, paths: readonly Path[]): Path[] => paths.map((path) => head.concat(path));

/** Every text that must not appear in a log: secrets themselves, and the user, password and query of secret URLs. */
export function secretValues(config: Config, schema: ConfigSchema = configSchema): ReadonlySet<string> {
  const values = new Set<string>();
  for (const path of secretPaths(config, schema)) {
    const value = valueAt(config, path);
    if (typeof value !== 'string') continue;
    const isUrl = fieldAt(schema, path, config)?.meta.secret === 'url';
    for (const part of isUrl ? partsOfUrl(value) : [value]) values.add(part);
  }
  return values;
}

function partsOfUrl(value: string): string[] {
  if (redactUrl(value) === value) return [];
  const parsed = URL.parse(value);
  const parts = parsed ? [parsed.username, parsed.password, parsed.search.slice(1)] : [];
  return [value, ...parts.flatMap((part) => [part, decoded(part)])].filter((part) => part.length > 0);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A secret as it may be shown. */
export const shownSecret = (value: unknown, secret: Meta['secret']): string =>
  secret === 'url' && typeof value === 'string' ? redactUrl(value) : '***';

export interface Resolved {
  readonly data: Plain;
  readonly complaints: readonly Complaint[];
}

/** Reads the secrets that are given as `{ file: PATH }`; a relative path starts at `folder`. */
export async function resolveSecrets(
  data: Plain,
  folder: string,
  schema: ConfigSchema = configSchema,
): Promise<Resolved> {
  const complaints: Complaint[] = [];
  let resolved: unknown = data;
  for (const path of secretPaths(data, schema)) {
    const value = valueAt(data, path);
    if (!isPlain(value)) continue;
    const read = await readSecret(value, folder);
    if ('text' in read) resolved = withValueAt(resolved, path, read.text);
    else {
      complaints.push({ path, message: read.fault });
      resolved = withValueAt(resolved, path, 'unreadable');
    }
  }
  return { data: isPlain(resolved) ? resolved : data, complaints };
}

async function readSecret(value: Plain, folder: string): Promise<{ text: string } | { fault: string }> {
  const { file, ...others } = value;
  if (typeof file !== 'string' || Object.keys(others).length > 0) return { fault: 'must be a text or { file: PATH }' };
  try {
    const content = await readBounded(resolve(folder, file), maxSecretBytes);
    if (!content) return { fault: `${file} is larger than ${maxSecretBytes} bytes` };
    const text = content.toString('utf8').replace(/\r?\n$/, '');
    return text === '' ? { fault: `${file} is empty` } : { text };
  } catch (thrown) {
    return { fault: `${file} cannot be read: ${systemCode(thrown) ?? 'unknown'}` };
  }
}

/** What the schema rejects, in words that say what to write instead. */
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { type Field, fieldAt, keysOf, kindsOf, leavesOf } from './fields.ts';
import { type Path, valueAt } from './path.ts';

export interface Complaint {
  readonly path: Path;
  readonly message: string;
  readonly hint?: string;
}

/** @param data what was parsed: a secret in it never reaches a message */
export function complaintsOf(issue: z.core.$ZodIssue, root: z.core.$ZodType, data: unknown): readonly Complaint[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  const value = valueAt(data, path);
  const field = fieldAt(root, path, data);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, field, root));
    case 'invalid_union':
      return [{ path, ...wrongKind(value, fieldAt(root, path.slice(0, -1), data)) }];
    case 'invalid_value':
      return [{ path, ...notOneOf(value, issue.values.map(String)) }];
    case 'invalid_type':
      return [{ path, ...wrongType(issue.expected, value, field) }];
    case 'too_small':
    case 'too_big':
      return [{ path, ...outOfRange(issue, field, value) }];
    case 'custom':
    case 'invalid_format':
      return [{ path, message: issue.message, ...withUnit(value, field) }];
    case 'not_multiple_of':
    case 'invalid_key':
    case 'invalid_element':
      return [{ path, message: issue.message }];
  }
}

function unknownKey(key: string, path: Path, field: Field | undefined, root: z.core.$ZodType): Complaint {
  const known = field ? [...keysOf(field).keys()] : [];
  const at = [...path, key];
  const message = 'is not a known key';
  const near = nearest(key, known);
  if (near !== undefined) return { path: at, message, hint: `did you mean ${near}?` };
  const elsewhere = leavesOf(root).find(({ pattern }) => pattern.endsWith(`.${key}`));
  if (elsewhere) return { path: at, message, hint: `it is known as ${elsewhere.pattern}` };
  return { path: at, message, hint: `known here: ${known.join(', ')}` };
}

/** @returns the word that was probably meant; undefined when none is near */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || word.length > 64) return undefined;
  const meant = word.toLowerCase();
  const near = closest(meant, [...known]);
  if (distance(meant, near.toLowerCase()) <= Math.max(near.length < 4 ? 1 : 2, Math.floor(near.length / 3)))
    return near;
  return meant.length < 3 ? undefined : known.find((other) => other.startsWith(meant) || meant.startsWith(other));
}

function notOneOf(value: unknown, allowed: readonly string[]): Omit<Complaint, 'path'> {
  const message = value === undefined ? 'is missing' : 'is not a known word';
  const near = typeof value === 'string' ? nearest(value, allowed) : undefined;
  return { message, hint: near === undefined ? `write ${orList(allowed)}` : `did you mean ${near}?` };
}

const wrongKind = (value: unknown, union: Field | undefined): Omit<Complaint, 'path'> =>
  notOneOf(value, union ? [...kindsOf(union).keys()] : []);

const orList = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a section with keys',
  record: 'a section with keys',
};

function wrongType(expected: string, value: unknown, field: Field | undefined): Omit<Complaint, 'path'> {
  if (value === undefined) return { message: 'is missing', ...(field ? whatItIs(field) : {}) };
  const unit = withUnit(value, field);
  if (unit.hint !== undefined) return { message: `must be a ${field?.meta.unit ?? ''} with its unit`, ...unit };
  const message = `must be ${typeWords[expected] ?? expected}`;
  const rewritten = field?.meta.secret ? undefined : rewrite(expected, value);
  return rewritten === undefined ? { message } : { message, hint: `write ${rewritten}` };
}

const whatItIs = ({ meta }: Field): { hint?: string } =>
  meta.description === undefined ? {} : { hint: meta.description.replace(/\.$/, '') };

/** The same meant in the right type, where that is plain. */
function rewrite(expected: string, value: unknown): string | undefined {
  if (expected === 'boolean') {
    if (['yes', 'on', 'y', '1', 'True', 'TRUE'].includes(String(value))) return 'true';
    if (['no', 'off', 'n', '0', 'False', 'FALSE'].includes(String(value))) return 'false';
  }
  const isNumeric = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
  if ((expected === 'number' || expected === 'int') && isNumeric) return `${Number(value)}, without quotes`;
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `"${value}", in quotes`;
  if (expected === 'array' && (typeof value === 'string' || typeof value === 'number')) return `[${short(value)}]`;
  return undefined;
}

const short = (value: unknown): string => String(value).slice(0, 40);

/** For what is written with a unit: the same amount with the unit that was probably meant. */
function withUnit(value: unknown, field: Field | undefined): { hint?: string } {
  const unit = field?.meta.unit;
  const amount = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(typeof value === 'number' ? String(value) : asText(value));
  if (!amount || (unit !== 'duration' && unit !== 'size')) return {};
  const [, number = '', word = ''] = amount;
  const meant = unit === 'duration' ? durationUnit(word.toLowerCase()) : sizeUnit(word.toLowerCase());
  return meant === undefined ? {} : { hint: `write ${number}${meant}` };
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : '');

const durationUnit = (word: string): string | undefined =>
  word === '' ? 's' : ['ms', 's', 'm', 'h', 'd'].find((unit) => durationWords[unit]?.includes(word));

const durationWords: Readonly<Record<string, readonly string[]>> = {
  ms: ['ms', 'msec', 'msecs', 'millis', 'milliseconds'],
  s: ['s', 'sec', 'secs', 'second', 'seconds'],
  m: ['m', 'min', 'mins', 'minute', 'minutes'],
  h: ['h', 'hr', 'hrs', 'hour', 'hours'],
  d: ['d', 'day', 'days'],
};

function sizeUnit(word: string): string | undefined {
  if (word === '') return 'MiB';
  const letter = /^([kmgt])i?b?$/.exec(word)?.[1];
  return letter === undefined ? undefined : `${letter.toUpperCase()}iB`;
}

type RangeIssue = Extract<z.core.$ZodIssue, { code: 'too_small' | 'too_big' }>;

function outOfRange(issue: RangeIssue, field: Field | undefined, value: unknown): Omit<Complaint, 'path'> {
  const isSmall = issue.code === 'too_small';
  const limit = String(isSmall ? issue.minimum : issue.maximum);
  const bound = isSmall ? (issue.inclusive === false ? 'more than' : 'at least') : 'at most';
  if (issue.origin === 'array') return { message: `must have ${bound} ${limit} items` };
  if (issue.origin === 'string')
    return { message: limit === '1' ? 'must not be empty' : `must have ${bound} ${limit} characters` };
  const unit = field?.meta.unit;
  const message = `must be ${bound} ${limit}${unit === undefined ? '' : ` (${unit})`}`;
  const isPixel = issue.origin === 'number' && limit === '1' && typeof value === 'number' && value > 1;
  return isPixel ? { message, hint: 'a fraction, not pixels or percent' } : { message };
}

/**
 * The outpost.yaml of a first start, generated from the schema: every key with what it is and its default, commented out.
 *
 *   `## text` explains; `#key: value` is the default, and takes effect when its `#` and that of its section are removed
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { type Field, fieldOf, itemOf, keysOf, kindsOf } from './fields.ts';
import { configSchema } from './schema.ts';

export interface StarterOptions {
  /** The folder of the store; absent: the default, commented out. */
  readonly storagePath?: string;
}

/** What a list of sections looks like with something in it. */
const examples: Readonly<Record<string, string>> = {
  cameras: `cameras:
  - id: front
    url: rtsp://user:password@192.0.2.10/stream
    zones:
      - id: yard
        polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
`,
  rules: `rules:
  - kind: intrusion
    id: fence
    zone: yard
`,
};

const head = `## The configuration of Outpost on this device.
##
## Lines that begin with ## explain. Lines such as "#key: value" show a default: remove the # of the key and of the
## section it stands in, and change the value. Then:
##   outpost check-config         says what is wrong, and where
##   systemctl restart outpost    takes it
`;

/** @returns YAML that says nothing but `storagePath`, where it is given */
export function starterConfig({ storagePath }: StarterOptions = {}): string {
  const written = storagePath === undefined ? {} : { 'storage.path': storagePath };
  return [
    head,
    ...[...keysOf(fieldOf(configSchema))].map(([key, schema]) => entry(key, fieldOf(schema), written)),
  ].join('\n');
}

type Written = Readonly<Record<string, string>>;

function entry(key: string, field: Field, written: Written, path = key): string {
  const depth = path.split('.').length - 1;
  const keys = keysOf(field);
  if (keys.size > 0) {
    const inner = [...keys].map(([name, schema]) => entry(name, fieldOf(schema), written, `${path}.${name}`)).join('');
    const isWritten = Object.keys(written).some((other) => other.startsWith(`${path}.`));
    return `${comment(field)}${isWritten ? '' : '#'}${'  '.repeat(depth)}${key}:\n${inner}`;
  }
  const example = examples[path];
  if (example !== undefined) return `${comment(field)}${commentOut(example)}`;
  const value = written[path];
  if (value !== undefined) return `${comment(field)}${'  '.repeat(depth)}${key}: ${value}\n`;
  if (field.byDefault === undefined) return comment(field, `${key}: not set. `);
  return `${comment(field)}#${'  '.repeat(depth)}${key}: ${inline(field.byDefault)}\n`;
}

const inline = (value: unknown): string =>
  stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trim();

const commentOut = (text: string): string => text.replace(/^(?=.)/gm, '#');

function comment(field: Field, before = ''): string {
  const text = `${before}${field.meta.description ?? ''}${choices(field)}`.trim();
  return text === '' ? '' : `## ${text}\n`;
}

function choices(field: Field): string {
  if (field.schema instanceof z.ZodEnum) return ` One of: ${field.schema.options.join(', ')}.`;
  const kinds = kindsOf(itemOf(field) ?? field);
  return kinds.size > 0 ? ` Kinds: ${[...kinds.keys()].join(', ')}.` : '';
}

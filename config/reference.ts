/** The reference for people, generated from the schema: every key, what it is, how it is written, what it is by default. */
import { z } from 'zod';
import { type Field, fieldOf, itemOf, keysOf, kindsOf } from './fields.ts';
import { configSchema, type ConfigSchema } from './schema.ts';

const head = `# Reference of outpost.yaml

Generated from config/schema.ts by \`npm run generate\`; do not edit.

Durations are written with their unit (\`1500ms\`, \`30s\`, \`5m\`, \`2h\`, \`7d\`), sizes too (\`512KiB\`, \`2GiB\`). Coordinates
are fractions of the picture: 0, 0 is its upper left corner, 1, 1 its lower right. A secret may be written as
\`{ file: PATH }\`: its value is then the text of that file.
`;

/** `config/REFERENCE.md` */
export const configReference = (schema: ConfigSchema = configSchema): string =>
  `${[head, ...sections(fieldOf(schema), '')].join('\n')}\n`;

type Keys = ReadonlyMap<string, Field>;

const fieldsOf = (section: Field): Keys => new Map([...keysOf(section)].map(([key, schema]) => [key, fieldOf(schema)]));

function sections(section: Field, path: string): string[] {
  const keys = fieldsOf(section);
  return [...table(keys), ...subsections(keys, path === '' ? '' : `${path}.`)];
}

function table(
  keys: Keys,
  byDefaultOf: (key: string, field: Field) => string = (_key, field) => byDefault(field),
): string[] {
  const rows = [...keys].filter(([, field]) => !isSection(field)).map(([key, field]) => row(key, field, byDefaultOf));
  return rows.length === 0 ? [] : ['| key | what | written as | default |', '|---|---|---|---|', ...rows, ''];
}

const subsections = (keys: Keys, prefix: string): string[] =>
  [...keys].flatMap(([key, field]) => (isSection(field) ? subsection(field, `${prefix}${key}`) : []));

function subsection(field: Field, path: string): string[] {
  const item = field.schema instanceof z.ZodArray ? itemOf(field) : undefined;
  if (!item) return [...title(path, field), ...sections(field, path)];
  const kinds = kindsOf(item);
  return [
    ...title(`${path}[]`, field),
    ...(kinds.size > 0 ? kindSections(kinds, path, wordOf(item)) : sections(item, `${path}[]`)),
  ];
}

/** What all kinds share is said once, then each with its own keys. */
const wordOf = ({ schema }: Field): string =>
  schema instanceof z.ZodDiscriminatedUnion ? schema.def.discriminator : '';

function kindSections(kinds: ReadonlyMap<string, Field>, path: string, word: string): string[] {
  const all = [...kinds].map(([kind, field]) => ({ kind, keys: fieldsOf(field) }));
  const first = all[0]?.keys ?? new Map<string, Field>();
  // options have one name and a content of each kind’s own
  const isShared = (key: string): boolean =>
    key !== word && key !== 'options' && all.every(({ keys }) => keys.has(key));
  const shared = new Map([...first].filter(([key]) => isShared(key)));
  const defaults = (key: string): string => {
    const texts = all.map(({ kind, keys }) => ({ kind, text: byDefault(keys.get(key) as Field) }));
    const common = texts[0]?.text ?? '';
    return [common, ...texts.filter(({ text }) => text !== common).map(({ kind, text }) => `${kind}: ${text}`)].join(
      '; ',
    );
  };
  return [
    `### Every ${path.replace(/s$/, '')}\n`,
    ...table(shared, defaults),
    ...subsections(shared, `${path}[].`),
    ...all.flatMap(({ kind, keys }) =>
      kindSection({ kind, word, path }, new Map([...keys].filter(([key]) => !isShared(key)))),
    ),
  ];
}

interface Kind {
  readonly kind: string;
  readonly word: string;
  readonly path: string;
}

function kindSection({ kind, word, path }: Kind, keys: Keys): string[] {
  const own = new Map([...keys].filter(([key]) => key !== word));
  const said = word === 'kind' ? [`${text(keys.get(word)?.meta.description)}\n`] : [];
  return [`### \`${word}: ${kind}\`\n`, ...said, ...table(own), ...subsections(own, `${path}[${kind}].`)];
}

const isSection = (field: Field): boolean => {
  const item = field.schema instanceof z.ZodArray ? itemOf(field) : undefined;
  return keysOf(field).size > 0 || (item !== undefined && (keysOf(item).size > 0 || kindsOf(item).size > 0));
};

const title = (path: string, { meta }: Field): string[] => [
  `## \`${path}\`\n`,
  ...(meta.description === undefined ? [] : [`${meta.description}\n`]),
];

function row(key: string, field: Field, byDefaultOf: (key: string, field: Field) => string): string {
  const { meta } = field;
  const restart = meta.restart === undefined ? '' : ` A change restarts: ${meta.restart}.`;
  const secret = meta.secret ? ' Secret.' : '';
  const cells = [`\`${key}\``, `${text(meta.description)}${secret}${restart}`, form(field), byDefaultOf(key, field)];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const text = (description: string | undefined): string => description ?? '';

function byDefault({ byDefault: value, optional, schema }: Field): string {
  if (schema instanceof z.ZodLiteral) return '';
  if (value === undefined) return optional ? '' : '**needed**';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** How a value is written, in a few words. */
function form(field: Field): string {
  const { schema, meta } = field;
  const unit = meta.unit === undefined ? '' : ` (${meta.unit})`;
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(', ');
  if (schema instanceof z.ZodLiteral) return [...schema.values].map((value) => `\`${String(value)}\``).join(', ');
  if (schema instanceof z.ZodBoolean) return '`true`, `false`';
  if (schema instanceof z.ZodNumber) return `${numberForm(schema)}${unit}`;
  if (schema instanceof z.ZodArray) return `list of ${plural(itemOf(field))}`;
  if (schema instanceof z.ZodTuple) return '`[x, y]`';
  if (schema instanceof z.ZodRecord) return `key: ${itemOf(field) ? form(itemOf(field) as Field) : ''}`;
  return meta.unit ?? 'text';
}

function numberForm(schema: z.ZodNumber): string {
  const kind = schema.isInt ? 'whole number' : 'number';
  const bounds = [schema.minValue, schema.maxValue].map((bound) =>
    bound === null || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound,
  );
  if (bounds[0] === undefined) return bounds[1] === undefined ? kind : `${kind} up to ${bounds[1]}`;
  return bounds[1] === undefined ? `${kind} from ${bounds[0]}` : `${kind}, ${bounds[0]} to ${bounds[1]}`;
}

function plural(item: Field | undefined): string {
  if (!item) return 'values';
  if (item.schema instanceof z.ZodEnum) return form(item);
  if (item.schema instanceof z.ZodTuple) return 'points `[x, y]`';
  return item.schema instanceof z.ZodString ? 'texts' : 'values';
}

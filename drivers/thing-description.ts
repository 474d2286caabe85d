/** A manifest as a Thing Model of W3C Web of Things (Thing Description 1.1, section 10): what `drivers describe --json` prints. */
import { z } from 'zod';
import type { Action, EventAffordance, Manifest, Property } from './driver.ts';

type Json = Readonly<Record<string, unknown>>;

export function thingModel({
  name,
  title,
  description,
  sources,
  line,
  integrity,
  properties,
  actions,
  events,
}: Manifest): Json {
  return {
    '@context': ['https://www.w3.org/2022/wot/td/v1.1', { outpost: 'https://outpost.invalid/drivers/v1#' }],
    '@type': 'tm:ThingModel',
    id: `urn:outpost:driver:${name}`,
    title,
    description,
    support: sources.join('; '),
    'outpost:line': { ...line, integrity },
    properties: mapped(properties, propertyOf),
    actions: mapped(actions, actionOf),
    events: mapped(events, eventOf),
  };
}

const mapped = <T>(record: Readonly<Record<string, T>>, of: (value: T) => Json): Json =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, of(value)]));

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

const propertyOf = ({ title, description, schema, unit, range, rate, personal }: Property): Json => ({
  title,
  ...(description === undefined ? {} : { description }),
  ...schemaOf(schema),
  ...(unit === undefined ? {} : { unit }),
  ...(range === undefined ? {} : { minimum: range[0], maximum: range[1] }),
  readOnly: true,
  observable: true,
  ...(rate === undefined ? {} : { 'outpost:rate': rate }),
  ...(personal ? { 'outpost:personal': true } : {}),
});

const actionOf = ({
  title,
  description,
  args,
  idempotent,
  safety,
  deadlineMs,
  acknowledgement,
  preconditions,
  example,
}: Action): Json => ({
  title,
  ...(description === undefined ? {} : { description }),
  input: schemaOf(args),
  safe: safety === 'none',
  idempotent,
  synchronous: true,
  'outpost:safety': safety,
  'outpost:deadlineMs': deadlineMs,
  'outpost:acknowledgement': acknowledgement,
  ...(preconditions === undefined ? {} : { 'outpost:preconditions': preconditions }),
  'outpost:example': example,
});

const eventOf = ({ title, description, data, personal }: EventAffordance): Json => ({
  title,
  ...(description === undefined ? {} : { description }),
  data: schemaOf(data),
  ...(personal ? { 'outpost:personal': true } : {}),
});

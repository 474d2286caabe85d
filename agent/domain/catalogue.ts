/**
 * What this device says, for those who listen: JSON Schema of each kind's data, one AsyncAPI document, and the check.
 *
 *   eventData (zod) --> events.schema.json, asyncapi.json (generated) · checkEvent
 */
import { z } from 'zod';
import { eventData, type EventKind, eventKinds } from './event.ts';
import { lanes } from './lane.ts';
import { topicLimits } from './topics.ts';

const digits = z.string().regex(/^\d+$/, 'must be decimal digits');

/** The CloudEvents 1.0 attributes that every event of Outpost carries; `data` is checked by its kind. */
const attributes = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1).meta({ description: 'e-, the first 8 digits of the epoch, lane, sequence number' }),
  source: z.string().startsWith('/outpost/'),
  type: z.string().regex(/^outpost\.[a-z-]+(\.(start|update|end|accepted|refused|done|failed|unknown))?$/),
  time: z.iso.datetime(),
  subject: z.string().min(1),
  datacontenttype: z.literal('application/json'),
  epoch: z.string().min(1).meta({ description: 'born with the store; a new one when it was rebuilt' }),
  lane: z.enum(lanes),
  seq: digits.meta({ description: 'gapless per device, epoch and lane, from 1' }),
  boot: digits,
  monoms: digits.meta({ description: 'monotonic milliseconds of that boot' }),
  clock: z.enum(['synced', 'unsynced', 'stepped']),
  data: z.unknown(),
});

const isKind = (text: string): text is EventKind => (eventKinds as readonly string[]).includes(text);

/** @returns what is wrong with a received event, by the attributes and its kind's schema, or undefined */
export function checkEvent(event: unknown): string | undefined {
  const outer = attributes.safeParse(event);
  if (!outer.success) return z.prettifyError(outer.error);
  const kind = outer.data.type.split('.')[1] ?? '';
  if (!isKind(kind)) return `no kind is named ${kind}`;
  const inner = eventData[kind].safeParse(outer.data.data);
  return inner.success ? undefined : `${outer.data.type}: ${z.prettifyError(inner.error)}`;
}

type Attributes = z.infer<typeof attributes>;

/** As `checkEvent`, for those who receive from devices of other versions: members that nobody here knows are kept. */
export function parseReceived(
  event: unknown,
):
  | { readonly attributes: Attributes; readonly extra: Readonly<Record<string, unknown>> | undefined }
  | { readonly problem: string } {
  const parsed = looseAttributes.safeParse(event);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error) };
  const extra = Object.entries(parsed.data).filter(([name]) => !(name in attributes.shape));
  return { attributes: parsed.data, extra: extra.length > 0 ? Object.fromEntries(extra) : undefined };
}

const looseAttributes = attributes.loose();

/** @returns the kind of a CloudEvents type such as `outpost.intrusion.start`, when it is known */
export function kindOf(type: string): EventKind | undefined {
  const kind = type.split('.')[1] ?? '';
  return isKind(kind) ? kind : undefined;
}

/** @returns what is wrong with a kind's data beyond members that a newer device may add, or undefined */
export function intolerable(kind: EventKind, data: unknown): string | undefined {
  const parsed = eventData[kind].safeParse(data);
  if (parsed.success) return undefined;
  const issues = parsed.error.issues.filter(({ code }) => code !== 'unrecognized_keys');
  return issues.length === 0 ? undefined : z.prettifyError({ issues });
}

interface CatalogueFile {
  readonly path: string;
  readonly text: string;
}

/** The committed files that are made from the schemas. */
export function generatedFiles(): readonly CatalogueFile[] {
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  return [
    { path: 'agent/domain/events.schema.json', text: json(eventsSchema()) },
    { path: 'agent/domain/asyncapi.json', text: json(asyncApi()) },
  ];
}

const schemaOf = (schema: z.ZodType): unknown => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12' });
  return rest;
};

function eventsSchema(): unknown {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Events of Outpost',
    description: 'CloudEvents 1.0 attributes, and the schema of `data` for each kind.',
    $defs: Object.fromEntries(eventKinds.map((kind) => [kind, schemaOf(eventData[kind])])),
    ...(schemaOf(attributes) as object),
    allOf: eventKinds.map((kind) => ({
      if: { properties: { type: { pattern: `^outpost\\.${kind}(\\.|$)` } } },
      // oxlint-disable-next-line unicorn/no-thenable
      then: { properties: { data: { $ref: `#/$defs/${kind}` } } },
    })),
  };
}

function asyncApi(): unknown {
  const event = { $ref: 'events.schema.json' };
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Outpost',
      version: '1',
      description: `MQTT, QoS 1. Topics have at most ${topicLimits.characters} characters. A payload is one event, or an array of them.`,
    },
    defaultContentType: 'application/cloudevents+json',
    channels: Object.fromEntries(
      lanes.map((lane) => [
        lane,
        {
          address: `outpost/v1/{device}/up/${lane}`,
          parameters: { device: { description: 'id of the device' } },
          messages: {
            event: { contentType: 'application/cloudevents+json', payload: event },
            batch: { contentType: 'application/cloudevents-batch+json', payload: { type: 'array', items: event } },
          },
        },
      ]),
    ),
    operations: Object.fromEntries(
      lanes.map((lane) => [`send-${lane}`, { action: 'send', channel: { $ref: `#/channels/${lane}` } }]),
    ),
  };
}

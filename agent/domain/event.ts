/**
 * Something worth telling, and the schema of each kind's data.
 *
 * A kind's data may gain optional fields; anything else is a new kind. What lasts has a phase, and `data.incident`
 * is one id from its start to its end.
 */
import { z } from 'zod';
import type { Lane } from './lane.ts';
import { readingQualities } from './reading.ts';

const fraction = z.number().min(0).max(1);
/** Tracks may reach a little past the picture's edge. */
const coordinate = z.number().min(-1).max(2);
const milliseconds = z.number().min(0);

export const boxSchema = z
  .tuple([coordinate, coordinate, coordinate, coordinate])
  .meta({ description: 'x1, y1, x2, y2, normalised to the picture' });

export const sightingSchema = z
  .strictObject({
    track: z.int().min(1).meta({ description: 'track id, unique for a camera and a run of the tracker' }),
    label: z.string(),
    score: fraction,
    box: boxSchema,
  })
  .meta({ description: 'one tracked object in one frame' });
export type Sighting = z.infer<typeof sightingSchema>;

const evidenceSchema = z
  .array(z.strictObject({ id: z.string(), mediaType: z.string() }))
  .meta({ description: 'pictures that belong to it, redacted; stored a moment later under these ids' });

const readingMember = z.union([z.number(), z.boolean(), z.string().max(1_024)]);
const readingValueSchema = z.union([readingMember, z.record(z.string(), readingMember)]);

/** What every statement about a camera's picture carries. */
const seen = {
  incident: z.string().meta({ description: 'one id from start to end' }),
  rule: z.string().meta({ description: 'id of the rule in the configuration' }),
  frame: z.int().min(0).meta({ description: 'number of the frame that led to it' }),
  ageMs: milliseconds
    .optional()
    .meta({ description: 'from the capture of that frame to this event; absent in replays' }),
  evidence: evidenceSchema.optional(),
};

/** What lasts says how long it has, in `update` and `end`. */
const lasting = { ...seen, durationMs: milliseconds.meta({ description: 'since it started' }) };

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const piece = {
  id: z
    .string()
    .regex(/^[A-Za-z0-9][\w.-]{0,99}$/)
    .meta({ description: 'of the piece of evidence, as events name it' }),
  mediaType: z.string().max(100),
};

export const eventData = {
  zone: z.strictObject({ ...lasting, zone: z.string(), object: sightingSchema }),
  intrusion: z.strictObject({ ...lasting, zone: z.string(), objects: z.array(sightingSchema) }),
  line: z.strictObject({
    ...seen,
    line: z.string(),
    direction: z.enum(['forward', 'backward']).meta({
      description: 'forward: from the left of the line to its right, seen from its first point to its second',
    }),
    count: z
      .strictObject({ forward: z.int().min(0), backward: z.int().min(0) })
      .meta({ description: 'crossings since the agent started, this one included' }),
    object: sightingSchema,
  }),
  loitering: z.strictObject({ ...lasting, zone: z.string(), object: sightingSchema }),
  crowd: z.strictObject({
    ...lasting,
    zone: z.string().optional().meta({ description: 'absent: the whole picture' }),
    count: z.int().min(0),
    peak: z.int().min(0).meta({ description: 'the most at once since it started' }),
  }),
  camera: z.strictObject({
    incident: z.string(),
    condition: z.enum(['no-frames', 'black', 'frozen', 'blurred', 'covered', 'moved']),
    durationMs: milliseconds,
    detail: z.string().optional(),
  }),
  reading: z
    .strictObject({
      peripheral: z.string().meta({ description: 'id of the peripheral in the configuration' }),
      property: z.string().meta({ description: 'name of the property in the driver’s manifest' }),
      value: readingValueSchema,
      unit: z.string().optional().meta({ description: 'UCUM' }),
      quality: z.enum(readingQualities),
      rule: z
        .string()
        .optional()
        .meta({ description: 'id of the rule that it holds for; absent: telemetry, without a phase' }),
      incident: z.string().optional().meta({ description: 'one id from start to end, of a rule' }),
      durationMs: milliseconds.optional().meta({ description: 'since the rule holds' }),
    })
    .meta({ description: 'a measurement, or what a rule says of it from start to end' }),
  peripheral: z
    .strictObject({
      peripheral: z.string(),
      driver: z.string(),
      condition: z.enum(['lost', 'degraded', 'told']).meta({
        description:
          'lost, degraded: from start to end; told: the device told the event named in `event`, without a phase',
      }),
      incident: z.string().optional(),
      durationMs: milliseconds.optional(),
      detail: z.string().optional(),
      event: z.string().optional().meta({ description: 'name of the event in the driver’s manifest' }),
      data: z.record(z.string(), z.unknown()).optional().meta({ description: 'of that event; never of a person' }),
    })
    .meta({ description: 'what happens to a peripheral itself, and what it tells' }),
  media: z.strictObject({
    ...piece,
    sha256: sha256.meta({ description: 'of the whole' }),
    size: z.int().min(1).meta({ description: 'bytes of the whole' }),
    chunk: z.int().min(0).meta({ description: 'which part this is, from 0' }),
    chunks: z.int().min(1).max(1_024),
    content: z.base64().max(87_384).meta({ description: 'at most 64 KiB, in base64' }),
  }),
  upload: z.strictObject({
    ...piece,
    sha256: sha256.optional().meta({ description: 'of its bytes; absent when nobody knows any more' }),
    size: z.int().min(0).meta({ description: 'bytes' }),
    outcome: z
      .enum(['stored', 'given-up'])
      .meta({ description: 'stored: the server has taken it. given-up: never will' }),
    url: z.string().max(2_000).optional().meta({ description: 'where it was stored' }),
    reason: z.enum(['quota', 'missing', 'damaged', 'refused']).optional().meta({
      description: 'why it was given up: it made room, was not there, was damaged on the disk, or was refused for ever',
    }),
  }),
  dropped: z.strictObject({
    epoch: z.string().optional().meta({ description: 'of the events given up, when it is not that of this event' }),
    lane: z.string(),
    first: z.string().meta({ description: 'first sequence number given up, decimal' }),
    last: z.string(),
    count: z.int().min(1),
    bytes: z.int().min(0),
    reason: z.enum(['budget', 'disk-full', 'expired', 'poison', 'corrupt']),
  }),
} as const;

export type EventKind = keyof typeof eventData;
export type EventData<K extends EventKind> = z.infer<(typeof eventData)[K]>;
export const eventKinds = Object.keys(eventData) as EventKind[];

export type Phase = 'start' | 'update' | 'end';

interface EventOf<K extends EventKind> {
  readonly kind: K;
  /** Absent for what does not last. */
  readonly phase?: Phase;
  readonly lane: Lane;
  /** What it is about, such as `camera/front`. */
  readonly subject: string;
  /** Wall time of the moment it tells of. */
  readonly wallMs: number;
  /** The same moment on the monotonic clock of this boot. */
  readonly monoMs: number;
  /** How long after `monoMs` it is still worth sending, judged within this boot alone; absent: for ever. */
  readonly lifeMs?: number;
  readonly data: EventData<K>;
}

/** A versioned discriminated union over `kind`. */
export type Event = { [K in EventKind]: EventOf<K> }[EventKind];

/** The id from its start to its end, of what has one. */
export const incidentOf = ({ data }: Event): string | undefined => ('incident' in data ? data.incident : undefined);

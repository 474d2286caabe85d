/**
 * The configuration, said once: types, defaults, JSON Schema, REFERENCE.md and log redaction all come from here.
 *
 * meta: title · description · unit · secret (never shown; `url`: shown without its credentials) · restart (what a change restarts: camera, vision, uplink, peripheral, agent)
 */
import { z } from 'zod';
import { bytes, duration, fraction, id, percentage } from './leaves.ts';
import { parsePublicKey } from '#agent/domain/signature.ts';
import { lineFault, polygonFault } from './geometry.ts';
import { looseSchema, peripheralSchema } from './peripheral.ts';
import { powerSchema } from './power.ts';
import { ruleSchema } from './rule.ts';
import { voiceSchema } from './voice.ts';

export const pointSchema = z
  .tuple([fraction, fraction])
  .meta({ description: 'x, y from 0 to 1; the upper left corner is 0, 0' });

function isTimeZone(name: string): boolean {
  try {
    return name === 'system' || new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const deviceSchema = z.strictObject({
  id: id('Names the device in every topic and event.').default('outpost'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'must be the name of a time zone, such as Asia/Shanghai, or `system`')
    .default('system')
    .meta({
      title: 'Time zone',
      description: 'Of the schedules: an IANA name such as Asia/Shanghai; `system`: that of the machine.',
    }),
});

export const storageSchema = z.strictObject({
  path: z.string().min(1).default('outpost-data').meta({
    title: 'Folder',
    description: 'Where the store, the evidence and the local socket live.',
    restart: 'agent',
  }),
});

export const logSchema = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .meta({ title: 'Level', description: 'The least grave line that is written.', restart: 'agent' }),
});

export const zoneSchema = z.strictObject({
  id: id('Names the zone in rules and events.'),
  polygon: z
    .array(pointSchema)
    .max(128)
    .check(({ value, issues }) => {
      const message = polygonFault(value);
      if (message !== undefined) issues.push({ code: 'custom', input: value, message });
    })
    .meta({ title: 'Polygon', description: 'Corners in order; at least three, no two edges cross.' }),
});

export const lineSchema = z
  .strictObject({
    id: id('Names the line in rules and events.'),
    from: pointSchema.meta({ title: 'From', description: 'First point: x, y from 0 to 1.' }),
    to: pointSchema.meta({ title: 'To', description: 'Second point; the order of the two makes the direction.' }),
  })
  .check(({ value, issues }) => {
    const message = lineFault(value.from, value.to);
    if (message !== undefined) issues.push({ code: 'custom', input: value, message, path: ['to'] });
  });

export const cameraSchema = z.strictObject({
  id: id('Names the camera in rules and events.'),
  url: z.string().min(1).meta({
    title: 'Source',
    description:
      'rtsp:// or rtsps:// stream, http(s):// JPEG snapshot or stream, a video file, a folder of pictures, or sim://street?seed=1.',
    secret: 'url',
    restart: 'camera',
  }),
  enabled: z
    .boolean()
    .default(true)
    .meta({ title: 'Enabled', description: 'Off: the camera is left alone.', restart: 'camera' }),
  kind: z.enum(['auto', 'stream', 'snapshot', 'file', 'folder']).default('auto').meta({
    title: 'Kind',
    description: 'What the source is; `auto` tells it from the URL and, for http, from what the server answers.',
    restart: 'camera',
  }),
  maxFps: z.number().positive().max(120).optional().meta({
    title: 'Rate limit',
    description: 'Frames above this rate are left out before detection.',
    unit: '1/s',
    restart: 'camera',
  }),
  snapshotInterval: duration('1s').meta({
    title: 'Snapshot interval',
    description: 'Between two pictures of a snapshot URL or a folder.',
    restart: 'camera',
  }),
  loop: z
    .boolean()
    .default(true)
    .meta({ title: 'Loop', description: 'Files and folders start again at their end.', restart: 'camera' }),
  pace: z.enum(['real-time', 'fast']).default('real-time').meta({
    title: 'Pace',
    description: 'Files at their own rate, or as fast as they can be read.',
    restart: 'camera',
  }),
  stallAfter: duration('5s').meta({
    title: 'Stall limit',
    description: 'Without a frame for this long the camera counts as down and is opened again.',
    restart: 'camera',
  }),
  zones: z
    .array(zoneSchema)
    .max(64)
    .default([])
    .meta({ title: 'Zones', description: 'Areas of the picture that rules speak of.' }),
  lines: z
    .array(lineSchema)
    .max(64)
    .default([])
    .meta({ title: 'Lines', description: 'Lines across the picture that rules speak of.' }),
});

export const visionSchema = z.strictObject({
  model: z.string().min(1).default('yolox-nano').meta({
    title: 'Model',
    description: 'A name from `outpost models list`, or the path of a folder with a manifest.',
    restart: 'vision',
  }),
  threads: z
    .int()
    .min(1)
    .max(16)
    .default(1)
    .meta({ title: 'Threads', description: 'CPU threads of the model’s session.', restart: 'vision' }),
  memoryMax: bytes('600MiB').meta({
    title: 'Memory limit',
    description: 'The inference child is started again when it grows past this.',
    restart: 'vision',
  }),
  threshold: fraction.optional().meta({
    title: 'Threshold',
    description: 'Least score of a detection that may start a track; default: the model’s own.',
    restart: 'vision',
  }),
  thresholds: z
    .record(z.string(), fraction)
    .default({})
    .meta({ title: 'Thresholds by label', description: 'Overrides for single labels.', restart: 'vision' }),
  labels: z.array(z.string()).default(['person', 'bicycle', 'car', 'motorcycle', 'bus', 'truck']).meta({
    title: 'Labels',
    description: 'What is tracked; everything else that the model knows is left out.',
    restart: 'vision',
  }),
});

const isHere = (url: string): boolean => /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(\/|$)/.test(url);

export const evidenceServerSchema = z.strictObject({
  url: z
    .string()
    .refine((url) => URL.canParse(url), 'must be an address such as https://store.example/pictures')
    .refine(
      (url) => url.startsWith('https://') || isHere(url),
      'must start with https://; http:// is for this machine itself alone',
    )
    .refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), 'must not hold a password: use token')
    .refine((url) => !/[?#]/.test(url), 'must not hold ? or #: the name of the picture is appended')
    .meta({
      title: 'Address',
      description: 'Such as https://store.example/pictures; each picture is PUT to URL/DEVICE/NAME.',
      restart: 'agent',
    }),
  token: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters without spaces')
    .optional()
    .meta({ title: 'Token', description: 'Sent as a bearer token.', secret: true, restart: 'agent' }),
  ca: z.string().optional().meta({
    title: 'CA file',
    description: 'PEM file of the server’s certificate authority; default: the system’s.',
    restart: 'agent',
  }),
  certificate: z
    .string()
    .optional()
    .meta({ title: 'Certificate file', description: 'PEM file, for mutual TLS.', restart: 'agent' }),
  key: z
    .string()
    .optional()
    .meta({ title: 'Key file', description: 'PEM file of that certificate’s private key.', restart: 'agent' }),
});

export const evidenceSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .meta({ title: 'Enabled', description: 'Store a redacted, annotated picture with each event that starts.' }),
  maxSize: bytes('1GiB').meta({ title: 'Quota', description: 'The oldest pictures make room when this is reached.' }),
  upload: z.boolean().default(false).meta({
    title: 'Upload',
    description:
      'Send each picture upstream, redacted as it is stored, below everything else: to `server` where there is one, else in parts on lane `media`, the first to be given up when there is no room.',
    restart: 'agent',
  }),
  server: evidenceServerSchema.optional(),
  width: z
    .int()
    .min(160)
    .max(3840)
    .default(1280)
    .meta({ title: 'Width', description: 'Pictures wider than this are scaled down.', unit: 'px', restart: 'camera' }),
  quality: percentage(80).meta({ title: 'JPEG quality', description: 'From 1 to 100.' }),
});

export const outboxSchema = z.strictObject({
  maxSize: bytes('2GiB').meta({ title: 'Budget', description: 'Bytes of events kept on disk while there is no line.' }),
});

export const uplinkSchema = z.strictObject({
  url: z
    .string()
    .regex(/^(mqtts?|wss?):\/\//, 'must start with mqtt://, mqtts://, ws:// or wss://')
    .refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), 'must not hold a password: use username and password')
    .optional()
    .meta({
      title: 'Broker',
      description: 'Such as mqtts://broker.example:8883. Absent: events are kept on the device.',
      restart: 'uplink',
    }),
  root: z
    .string()
    .regex(/^[a-z0-9_-]+(\/[a-z0-9_-]+)?$/, 'must be one or two levels of a-z, 0-9, _ and -')
    .max(16)
    .default('outpost/v1')
    .meta({ title: 'Topic root', description: 'The first levels of every topic.', restart: 'uplink' }),
  username: z
    .string()
    .optional()
    .meta({ title: 'User', description: 'For brokers with passwords.', restart: 'uplink' }),
  password: z
    .string()
    .optional()
    .meta({ title: 'Password', description: 'For brokers with passwords.', secret: true, restart: 'uplink' }),
  ca: z.string().optional().meta({
    title: 'CA file',
    description: 'PEM file of the broker’s certificate authority; default: the system’s.',
    restart: 'uplink',
  }),
  certificate: z
    .string()
    .optional()
    .meta({ title: 'Certificate file', description: 'PEM file of the device’s certificate.', restart: 'uplink' }),
  key: z
    .string()
    .optional()
    .meta({ title: 'Key file', description: 'PEM file of the device’s private key.', restart: 'uplink' }),
  consumers: z
    .array(
      z
        .string()
        .refine((text) => parsePublicKey(text) !== undefined, 'must be an Ed25519 public key, as PEM or base64'),
    )
    .max(16)
    .default([])
    .meta({
      title: 'Consumers’ keys',
      description:
        'Ed25519 public keys, PEM or base64, of those who may say that an event is committed. With one, events leave the device on the consumer’s signed word; without, on the broker’s.',
      restart: 'uplink',
    }),
  protocol: z
    .enum(['auto', '5', '3.1.1'])
    .default('auto')
    .meta({ title: 'MQTT version', description: '`auto` tries 5 and falls back to 3.1.1.', restart: 'uplink' }),
  keepalive: duration('30s').meta({
    title: 'Keep-alive',
    description: 'A line without answer for one and a half of these counts as cut.',
    restart: 'uplink',
  }),
});

export const trackerSchema = z.strictObject({
  coast: duration('2s').meta({
    title: 'Coasting',
    description: 'How long a track lives on without a detection, so that somebody behind a pole stays the same.',
    restart: 'vision',
  }),
});

/** Each is a file in config/profiles/. */
export const profileNames = ['patrol-robot', 'kiosk', 'station'] as const;
export type ProfileName = (typeof profileNames)[number];

/** `checkConfig` also checks what these cannot: what one section says of another. */
const peripheralsMeta = { title: 'Peripherals', description: 'Devices on serial lines.' };

const sections = {
  profile: z
    .enum(profileNames)
    .optional()
    .meta({ title: 'Profile', description: 'A set of defaults for this kind of device.' }),
  device: deviceSchema.prefault({}),
  storage: storageSchema.prefault({}),
  log: logSchema.prefault({}),
  cameras: z.array(cameraSchema).max(64).default([]).meta({ title: 'Cameras', description: 'What is watched.' }),
  vision: visionSchema.prefault({}),
  tracker: trackerSchema.prefault({}),
  peripherals: z.array(looseSchema).max(64).default([]).meta(peripheralsMeta),
  rules: z.array(ruleSchema).max(256).default([]).meta({ title: 'Rules', description: 'What becomes an event.' }),
  voice: voiceSchema.prefault({}),
  power: powerSchema.prefault({}),
  evidence: evidenceSchema.prefault({}),
  outbox: outboxSchema.prefault({}),
  uplink: uplinkSchema.prefault({}),
};

/** Without the drivers' options, which this floor does not know. */
export const configSchema = z.strictObject(sections);
export type ConfigSchema = typeof configSchema;

/** What a build of Outpost knows beyond this folder. */
export interface Registries {
  /** Options of each driver, by its name. */
  readonly drivers: Readonly<Record<string, z.ZodType>>;
}

/** The whole schema; the command line calls it, and hands it to what reads a configuration. */
export function buildSchema({ drivers }: Registries): ConfigSchema {
  const peripherals = z.array(peripheralSchema(drivers)).max(64).default([]).meta(peripheralsMeta);
  return z.strictObject({ ...sections, peripherals }) as unknown as ConfigSchema;
}

export type Config = z.infer<typeof configSchema>;
export type CameraConfig = Config['cameras'][number];
export type ZoneConfig = CameraConfig['zones'][number];
export type LineConfig = CameraConfig['lines'][number];
export type RuleConfig = Config['rules'][number];
export type { PeripheralConfig } from './peripheral.ts';
export type { PowerConfig } from './power.ts';
export type { AnnouncementConfig, VoiceConfig } from './voice.ts';
export type VisionConfig = Config['vision'];
export type TrackerConfig = Config['tracker'];
export type EvidenceConfig = Config['evidence'];
export type EvidenceServerConfig = z.infer<typeof evidenceServerSchema>;
export type OutboxConfig = Config['outbox'];
export type UplinkConfig = Config['uplink'];

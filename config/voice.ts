/** What the device says aloud: announcements, what sets them off, how loud it is and when. */
import { z } from 'zod';
import { type EventKind, eventKinds } from '#agent/domain/event.ts';
import { duration, id } from './leaves.ts';
import { windowSchema } from './rule.ts';

/** In rising order. */
export const priorities = ['information', 'warning', 'alarm'] as const;
export type Priority = (typeof priorities)[number];

export const spokenLanguages = ['zh', 'en'] as const;
export type SpokenLanguage = (typeof spokenLanguages)[number];

/** Characters of a text that is spoken: about a minute. */
export const mostCharacters = 500;

const volume = z.int().min(0).max(100);

const text = (language: string) =>
  z
    .string()
    .trim()
    .min(1)
    .max(mostCharacters)
    .optional()
    .meta({ title: language, description: 'Spoken by espeak-ng.', restart: 'agent' });

const file = (language: string) =>
  z
    .string()
    .min(1)
    .optional()
    .meta({ title: language, description: 'Path of a WAV file, PCM of 16 bits.', restart: 'agent' });

const orderSchema = z.strictObject({
  action: z.string().min(1).meta({ title: 'Action', description: 'Of the driver’s manifest.', restart: 'agent' }),
  args: z
    .record(z.string(), z.unknown())
    .default({})
    .meta({ title: 'Arguments', description: 'As the driver declares them.', restart: 'agent' }),
});

const effectSchema = z.strictObject({
  peripheral: z.string().meta({ title: 'Peripheral', description: 'Id of a peripheral.', restart: 'agent' }),
  start: orderSchema.meta({ title: 'At the start', description: 'Siren or strobe on.' }),
  end: orderSchema.meta({
    title: 'At the end',
    description: 'Siren or strobe off: done at the end, when it is broken off, and after a restart when it is owed.',
  }),
});

const triggerSchema = z.strictObject({
  kind: z
    .enum(eventKinds as [EventKind, ...EventKind[]])
    .meta({ title: 'Kind', description: 'Kind of event, such as intrusion or reading.', restart: 'agent' }),
  phase: z.enum(['start', 'update', 'end']).optional().meta({
    title: 'Phase',
    description: 'Absent: `start`, or an event that has no phase.',
    restart: 'agent',
  }),
  rule: z.string().optional().meta({ title: 'Rule', description: 'Id of a rule; absent: any.', restart: 'agent' }),
  subject: z.string().optional().meta({
    title: 'Subject',
    description: 'Such as camera/front or peripheral/door; absent: any.',
    restart: 'agent',
  }),
  event: z.string().optional().meta({
    title: 'Event of a device',
    description: 'For kind peripheral: name of the driver’s event; absent: any.',
    restart: 'agent',
  }),
});

const announcementSchema = z
  .strictObject({
    id: id('Names the announcement in events, commands and on the screen.'),
    priority: z.enum(priorities).default('information').meta({
      title: 'Priority',
      description: 'The higher is said first; `alarm` breaks off what is not one, and is not muted.',
      restart: 'agent',
    }),
    text: z.strictObject({ zh: text('Chinese'), en: text('English') }).prefault({}),
    file: z.strictObject({ zh: file('Chinese'), en: file('English') }).prefault({}),
    repeat: z.int().min(1).max(10).default(1).meta({
      title: 'Repeat',
      description: 'How often it is said, all languages each time.',
      unit: 'times',
      restart: 'agent',
    }),
    expiry: duration('30s').meta({
      title: 'Expiry',
      description: 'Not said any more when it had to wait for longer than this.',
      restart: 'agent',
    }),
    cooldown: duration('0s').meta({
      title: 'Cooldown',
      description: 'After it was said, events do not set it off again for this long; a command does.',
      restart: 'agent',
    }),
    least: duration('0s').meta({
      title: 'Least time',
      description: 'What it switches on stays on for at least this long.',
      restart: 'agent',
    }),
    most: duration('2m').meta({
      title: 'Most time',
      description: 'It is broken off, and what it switched on is switched off, after this.',
      restart: 'agent',
    }),
    with: z.array(effectSchema).max(8).default([]).meta({
      title: 'With',
      description: 'Sirens and strobes that go with it.',
    }),
    on: z.array(triggerSchema).max(32).default([]).meta({ title: 'On', description: 'Events that set it off.' }),
  })
  .refine(
    ({ text: texts, file: files, with: effects }) => Object.keys({ ...texts, ...files }).length + effects.length > 0,
    {
      message: 'needs a text, a file, or something that goes with it',
    },
  );
export type AnnouncementConfig = z.infer<typeof announcementSchema>;

export const voiceSchema = z.strictObject({
  languages: z
    .array(z.enum(spokenLanguages))
    .min(1)
    .max(2)
    .default([...spokenLanguages])
    .meta({
      title: 'Languages',
      description: 'In this order, one after the other, where there are both.',
      restart: 'agent',
    }),
  volume: volume.default(80).meta({
    title: 'Volume',
    description: 'Share of the recording’s own loudness; 0: what is no alarm is not said.',
    unit: '%',
    restart: 'agent',
  }),
  alarmVolume: volume.default(80).meta({
    title: 'Volume of alarms',
    description: 'Never less than this, at no time of day.',
    unit: '%',
    restart: 'agent',
  }),
  volumes: z
    .array(
      z.strictObject({
        ...windowSchema.shape,
        volume: volume.meta({ title: 'Volume', description: 'Within the window.', unit: '%', restart: 'agent' }),
      }),
    )
    .max(32)
    .default([])
    .meta({
      title: 'Volumes by time',
      description: 'Weekly windows in the device’s time zone; the first that holds counts.',
    }),
  player: z.array(z.string().min(1)).max(16).default([]).meta({
    title: 'Player',
    description:
      'Program and arguments; the WAV file comes last. Empty: aplay, pw-play or paplay, the first that is installed.',
    restart: 'agent',
  }),
  device: z.string().min(1).optional().meta({
    title: 'Sound device',
    description: 'Of aplay, such as plughw:1,0; absent: the default of the system.',
    restart: 'agent',
  }),
  voices: z
    .strictObject({
      zh: z
        .string()
        .regex(/^[\w+-]{1,40}$/)
        .default('cmn')
        .meta({
          title: 'Chinese voice',
          description: 'Name of a voice of espeak-ng.',
          restart: 'agent',
        }),
      en: z
        .string()
        .regex(/^[\w+-]{1,40}$/)
        .default('en-gb')
        .meta({
          title: 'English voice',
          description: 'Name of a voice of espeak-ng.',
          restart: 'agent',
        }),
    })
    .prefault({}),
  speed: z.int().min(80).max(300).default(150).meta({
    title: 'Speed',
    description: 'Of spoken text.',
    unit: 'words a minute',
    restart: 'agent',
  }),
  announcements: z
    .array(announcementSchema)
    .max(64)
    .default([])
    .meta({ title: 'Announcements', description: 'What can be said; none: the voice is off.' }),
});
export type VoiceConfig = z.infer<typeof voiceSchema>;

/** What becomes an event: one schema a kind of rule, over what all kinds share. */
import { z } from 'zod';
import { duration, fraction, id, timeOfDay } from './leaves.ts';

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

export const windowSchema = z
  .strictObject({
    days: z
      .array(z.enum(weekdays))
      .min(1)
      .max(7)
      .default([...weekdays])
      .meta({ title: 'Days', description: 'The days on which the window begins.' }),
    from: timeOfDay('00:00').meta({ title: 'From', description: 'Local time at which the window begins.' }),
    to: timeOfDay('24:00').meta({
      title: 'To',
      description: 'Local time at which it ends; earlier than `from`: on the next day.',
    }),
  })
  .refine(({ from, to }) => from !== to, {
    path: ['to'],
    message: 'must differ from `from`; the whole day is 00:00 to 24:00',
  });
export type ScheduleWindow = z.infer<typeof windowSchema>;

const basic = (lane: 'alarm' | 'event') => ({
  id: id('Names the rule in events.'),
  enabled: z.boolean().default(true).meta({ title: 'Enabled', description: 'Off: the rule tells nothing.' }),
  schedule: z
    .array(windowSchema)
    .max(64)
    .default([])
    .meta({ title: 'Schedule', description: 'Weekly windows in the device’s time zone; empty: always.' }),
  lane: z.enum(['alarm', 'event']).default(lane).meta({
    title: 'Lane',
    description: '`alarm`: sent at once, alone, and never given up. `event`: in batches.',
  }),
  cooldown: duration('0s').meta({
    title: 'Cooldown',
    description: 'After an incident of this rule on a camera or peripheral ended, no other starts there for this long.',
  }),
});

const common = (lane: 'alarm' | 'event', labels: readonly string[]) => ({
  ...basic(lane),
  cameras: z
    .array(z.string())
    .max(64)
    .default([])
    .meta({ title: 'Cameras', description: 'Ids of cameras; empty: every camera that has the zone or line.' }),
  labels: z
    .array(z.string())
    .max(100)
    .default([...labels])
    .meta({ title: 'Labels', description: 'What counts; empty: everything that is tracked.' }),
  minScore: fraction
    .default(0)
    .meta({ title: 'Least score', description: 'An object counts once its score has reached this.' }),
});

const minFrames = z.int().min(1).max(100).default(2).meta({
  title: 'Least frames',
  description:
    'An object must be inside, or beyond the line, in this many frames in a row; 1 lets a single frame decide.',
  unit: 'frames',
});

const presence = (leaveAfter: string) => ({
  enterAfter: duration('300ms').meta({
    title: 'Enter after',
    description: 'An object is inside once its foot point has been inside for this long without a break.',
  }),
  minFrames,
  leaveAfter: duration(leaveAfter).meta({
    title: 'Leave after',
    description: 'An object has left once it has been outside, or gone, for this long without a break.',
  }),
  updateInterval: duration('30s').meta({
    title: 'Update interval',
    description: 'While it lasts, an update is told at most this often; 0s: never.',
  }),
});

const zone = z.string().meta({ title: 'Zone', description: 'Id of a zone of the cameras.' });

const zoneRuleSchema = z.strictObject({
  kind: z.literal('zone').meta({ title: 'Kind', description: 'Tells of each object that enters and leaves a zone.' }),
  ...common('event', []),
  zone,
  ...presence('2s'),
});

const intrusionRuleSchema = z.strictObject({
  kind: z
    .literal('intrusion')
    .meta({ title: 'Kind', description: 'One incident while anyone is in a zone, within the schedule.' }),
  ...common('alarm', ['person']),
  zone,
  ...presence('2s'),
});

const lineRuleSchema = z.strictObject({
  kind: z.literal('line').meta({ title: 'Kind', description: 'Tells of each crossing of a line, and counts them.' }),
  ...common('event', []),
  line: z.string().meta({ title: 'Line', description: 'Id of a line of the cameras.' }),
  direction: z.enum(['both', 'forward', 'backward']).default('both').meta({
    title: 'Direction',
    description:
      'Which crossings are told (all are counted). `forward`: from the left of the line to its right, seen from its first point to its second.',
  }),
  margin: z.number().min(0).max(0.2).default(0.01).meta({
    title: 'Margin',
    description: 'A crossing counts once the foot point is this far beyond the line, so that trembling on it is none.',
    unit: 'picture',
  }),
  minFrames,
});

const loiteringRuleSchema = z.strictObject({
  kind: z
    .literal('loitering')
    .meta({ title: 'Kind', description: 'Tells of each object that stays in a zone for longer than a limit.' }),
  ...common('event', ['person']),
  zone,
  after: duration('30s').meta({ title: 'After', description: 'How long it may stay before it is told.' }),
  ...presence('5s'),
});

const crowdRuleSchema = z
  .strictObject({
    kind: z
      .literal('crowd')
      .meta({ title: 'Kind', description: 'Tells when many are in a zone, or in the picture, at once.' }),
    ...common('event', ['person']),
    zone: zone
      .optional()
      .meta({ title: 'Zone', description: 'Id of a zone of the cameras; absent: the whole picture.' }),
    atLeast: z
      .int()
      .min(2)
      .max(1000)
      .default(5)
      .meta({ title: 'At least', description: 'This many at once are a crowd.', unit: 'objects' }),
    after: duration('5s').meta({ title: 'After', description: 'For this long before it is told.' }),
    endBelow: z.int().min(1).max(1000).optional().meta({
      title: 'End below',
      description: 'It is over when there are fewer than this; default: one less than `atLeast`.',
      unit: 'objects',
    }),
    ...presence('5s'),
  })
  .refine(({ atLeast, endBelow }) => endBelow === undefined || endBelow <= atLeast, {
    path: ['endBelow'],
    message: 'must not be more than `atLeast`',
  });

const readingRuleSchema = z
  .strictObject({
    kind: z.literal('reading').meta({
      title: 'Kind',
      description:
        'One incident while a property of a peripheral is beyond a limit, or has a value: door forced, smoke, UPS on battery.',
    }),
    ...basic('alarm'),
    peripherals: z
      .array(z.string())
      .max(64)
      .default([])
      .meta({ title: 'Peripherals', description: 'Ids of peripherals; empty: every one that has the property.' }),
    property: z
      .string()
      .min(1)
      .meta({ title: 'Property', description: 'Name of the property in the driver’s manifest.' }),
    equals: z
      .union([z.boolean(), z.number(), z.string()])
      .optional()
      .meta({ title: 'Equals', description: 'It holds while the value is this.' }),
    above: z.number().optional().meta({ title: 'Above', description: 'It holds while the value is more than this.' }),
    below: z.number().optional().meta({ title: 'Below', description: 'It holds while the value is less than this.' }),
    hysteresis: z.number().min(0).default(0).meta({
      title: 'Hysteresis',
      description: 'Once it holds, it goes on until the value is back by this much.',
    }),
    hold: duration('0s').meta({
      title: 'Hold',
      description: 'It is told once it has held for this long without a break.',
    }),
    clear: duration('0s').meta({
      title: 'Clear',
      description: 'It is over once it has not held for this long without a break.',
    }),
    updateInterval: duration('0s').meta({
      title: 'Update interval',
      description: 'While it lasts, an update is told at most this often; 0s: never.',
    }),
  })
  .refine(({ equals, above, below }) => [equals, above, below].filter((limit) => limit !== undefined).length === 1, {
    path: ['property'],
    message: 'needs exactly one of `equals`, `above` and `below`',
  });

export const ruleSchema = z.discriminatedUnion('kind', [
  zoneRuleSchema,
  intrusionRuleSchema,
  lineRuleSchema,
  loiteringRuleSchema,
  crowdRuleSchema,
  readingRuleSchema,
]);

export type ZoneRule = z.infer<typeof zoneRuleSchema>;
export type IntrusionRule = z.infer<typeof intrusionRuleSchema>;
export type LineRule = z.infer<typeof lineRuleSchema>;
export type LoiteringRule = z.infer<typeof loiteringRuleSchema>;
export type CrowdRule = z.infer<typeof crowdRuleSchema>;
export type ReadingRule = z.infer<typeof readingRuleSchema>;

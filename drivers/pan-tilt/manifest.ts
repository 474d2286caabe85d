/** A pan and tilt head: where it looks, moves that end when nobody renews them, places, and presets. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const options = z
  .strictObject({
    protocol: z.enum(['pelco-d', 'visca']).default('pelco-d').meta({
      title: 'Protocol',
      description: '`pelco-d`: heads on RS-485 that answer the position query; `visca`: cameras with acknowledgements.',
      restart: 'peripheral',
    }),
    address: z.int().min(1).max(254).default(1).meta({
      title: 'Address',
      description: 'Of the head, as its switches or its menu say; VISCA has 1 to 7.',
      restart: 'peripheral',
    }),
    lease: z.int().min(200).max(10_000).default(1_000).meta({
      title: 'Lease of a move',
      description: 'A move that is not said again within this time is stopped.',
      unit: 'ms',
      restart: 'peripheral',
    }),
    pollEvery: z.int().min(50).max(10_000).default(1_000).meta({
      title: 'Poll interval',
      description: 'Between two questions for the position; five times as often while it moves.',
      unit: 'ms',
      restart: 'peripheral',
    }),
    zoom: z.boolean().default(true).meta({
      title: 'Has a zoom',
      description: 'False: it is neither asked for nor set.',
      restart: 'peripheral',
    }),
    presets: z.int().min(1).max(255).default(32).meta({
      title: 'Presets',
      description:
        'The highest number. Beyond 32 many heads keep patrols, menus and resets, which a preset must not be.',
      restart: 'peripheral',
    }),
    stepsPerDegree: z.number().min(1).max(200).default(13.333).meta({
      title: 'VISCA steps a degree',
      description: '13.333 for Sony EVI-D70 and kin, 14.4 for many others.',
      restart: 'peripheral',
    }),
  })
  .refine(({ protocol, address }) => protocol !== 'visca' || address <= 7, {
    path: ['address'],
    error: 'VISCA has the addresses 1 to 7.',
  });
export type Options = z.infer<typeof options>;

export const stopCauses = ['none', 'caller', 'silence', 'unwell', 'end'] as const;
export type StopCause = (typeof stopCauses)[number];

const share = z.number().min(-1).max(1).default(0);
const velocity = {
  pan: share.meta({ description: 'of the fastest, to the right' }),
  tilt: share.meta({ description: 'of the fastest, upwards' }),
  zoom: share.meta({ description: 'of the fastest, in' }),
};

export const manifest = ({ protocol, lease, presets, zoom }: Options): Manifest => {
  const isVisca = protocol === 'visca';
  const shown = isVisca ? 'ACK with a socket' : 'the position that begins to change';
  const preset = z.strictObject({
    preset: z
      .int()
      .min(1)
      .max(isVisca ? Math.min(presets, 15) : presets),
  });
  const kept = {
    args: preset,
    deadlineMs: 3_000,
    idempotent: true,
    safety: 'setting',
    example: { preset: 2 },
  } as const;
  return {
    name: 'pan-tilt',
    title: `Pan and tilt head, ${isVisca ? 'VISCA' : 'Pelco-D'}`,
    description: 'Turns a camera or a lamp; a move stops when nobody renews it.',
    sources: isVisca
      ? ['Sony EVI-D70 and EVI-H100S command lists (VISCA)', 'PTZOptics VISCA command list, rev. 2.0']
      : [
          'Pelco "D" protocol: standard and extended commands',
          'Pelco-D command list of the BenQ DVY23 manual, page 51',
        ],
    line: isVisca
      ? { ...plainLine, baudRate: 9_600, answerMs: 500, settleMs: 200, silentMs: 5_000 }
      : {
          ...plainLine,
          baudRate: 2_400,
          halfDuplex: true,
          sharedBus: true,
          turnaroundMs: 10,
          answerMs: 500,
          settleMs: 200,
          silentMs: 5_000,
        },
    integrity: isVisca ? 'none' : 'checksum',
    properties: {
      position: {
        title: 'Where it looks',
        description: 'Pan clockwise seen from above, tilt upwards.',
        schema: z.strictObject({ pan: z.number().min(-180).max(180), tilt: z.number().min(-180).max(180) }),
        unit: 'deg',
        rate: 5,
        deadband: 0.5,
        intervalMs: 2_000,
      },
      ...(zoom
        ? {
            zoom: {
              title: 'Zoom, 0 wide to 1',
              schema: z.number(),
              unit: '1',
              range: [0, 1] as const,
              rate: 5,
              deadband: 0.02,
            },
          }
        : {}),
      moving: { title: 'It moves', schema: z.boolean(), rate: 5 },
      stoppedBy: {
        title: 'Who ended the last move',
        description: 'caller · silence: nobody renewed it · unwell: the agent was · end: the peripheral was given up',
        schema: z.enum(stopCauses),
      },
    },
    actions: {
      stop: {
        title: 'Stop',
        args: z.strictObject({}),
        deadlineMs: 3_000,
        idempotent: true,
        safety: 'stop',
        acknowledgement: isVisca ? shown : 'the position that does not change any more',
        shownBy: () => ({ property: 'moving', oneOf: [false] }),
        example: {},
      },
      move: {
        title: 'Move',
        description: `On and on, and stopped when it is not said again within ${lease} ms.`,
        args: z.strictObject(velocity),
        deadlineMs: 3_000,
        // a speed that is set twice is the same speed
        idempotent: true,
        safety: 'motion',
        acknowledgement: shown,
        example: { pan: 0.5 },
      },
      step: {
        title: 'Move for a while',
        description: 'And stop, before it is answered.',
        args: z.strictObject({ ...velocity, ms: z.int().min(50).max(5_000).default(500) }),
        deadlineMs: 12_000,
        idempotent: false,
        safety: 'motion',
        acknowledgement: `${shown}, and that of the stop`,
        example: { pan: 0.5, ms: 100 },
      },
      goTo: {
        title: 'Look there',
        description: 'Acknowledged when it is under way; `moving` and `position` tell the rest.',
        args: z.strictObject({
          pan: z.number().min(-180).max(180).meta({ description: 'degrees' }),
          tilt: z.number().min(-90).max(90).meta({ description: 'degrees' }),
          zoom: z.number().min(0).max(1).optional(),
        }),
        deadlineMs: 5_000,
        idempotent: true,
        safety: 'motion',
        acknowledgement: isVisca ? shown : `${shown}, or is that one`,
        example: { pan: 20, tilt: 10 },
      },
      goPreset: {
        title: 'Look at a preset',
        args: preset,
        deadlineMs: 3_000,
        idempotent: true,
        safety: 'motion',
        acknowledgement: shown,
        example: { preset: 1 },
      },
      setPreset: {
        ...kept,
        title: 'Keep this view as a preset',
        acknowledgement: isVisca ? shown : 'none: the protocol has none',
      },
      clearPreset: {
        ...kept,
        title: 'Forget a preset',
        acknowledgement: isVisca ? shown : 'none: the protocol has none',
      },
    },
    events: {},
  };
};

/** What a GNSS receiver that speaks NMEA 0183 tells, and what may be set on it. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const options = z.strictObject({
  chipset: z.enum(['generic', 'mediatek']).default('generic').meta({
    title: 'Chipset',
    description:
      '`mediatek`: MT33xx and kin, asked for their firmware and set by PMTK sentences; `generic`: only heard.',
    restart: 'peripheral',
  }),
  rate: z.number().min(0.1).max(10).optional().meta({
    title: 'Rate',
    description: 'Positions a second that a mediatek receiver is set to; absent: left as it is.',
    unit: 'Hz',
    restart: 'peripheral',
  }),
  unchecked: z.boolean().default(false).meta({
    title: 'Unchecked sentences',
    description: 'Take sentences without a checksum too, from old receivers that send none.',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

export const fixModes = ['none', '2d', '3d'] as const;
/** GGA's quality indicator, by its number (NMEA 0183 4.11, GGA field 6). */
export const fixQualities = [
  'none',
  'gnss',
  'dgnss',
  'pps',
  'rtk-fixed',
  'rtk-float',
  'estimated',
  'manual',
  'simulated',
] as const;

export const manifest = ({ chipset }: Options): Manifest => ({
  name: 'nmea-gnss',
  title: 'GNSS receiver, NMEA 0183',
  description: 'Position, speed, course and time from a receiver of any constellation.',
  sources: [
    'NMEA 0183 version 4.11, sentences GGA, RMC, GSA, GSV, GLL, VTG, ZDA, GNS',
    'MediaTek PMTK command packet, revision A11 (for chipset mediatek)',
  ],
  line: { ...plainLine, baudRate: 9_600, answerMs: 3_000, silentMs: 5_000 },
  integrity: 'checksum',
  properties: {
    position: {
      title: 'Position',
      description: 'WGS 84.',
      schema: z.strictObject({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) }),
      unit: 'deg',
      rate: 10,
      deadband: 0.000_05,
      intervalMs: 10_000,
    },
    altitude: {
      title: 'Altitude above mean sea level',
      schema: z.number(),
      unit: 'm',
      range: [-1_000, 20_000],
      rate: 10,
      deadband: 5,
      intervalMs: 60_000,
    },
    speed: {
      title: 'Speed over ground',
      schema: z.number().min(0),
      unit: 'm/s',
      range: [0, 200],
      rate: 10,
      deadband: 0.5,
      intervalMs: 10_000,
    },
    course: {
      title: 'Course over ground, from true north',
      schema: z.number().min(0).max(360),
      unit: 'deg',
      range: [0, 360],
      rate: 10,
      deadband: 15,
      intervalMs: 10_000,
    },
    fix: { title: 'Fix', schema: z.enum(fixModes), rate: 10 },
    quality: { title: 'How the position was found', schema: z.enum(fixQualities), rate: 10 },
    satellitesUsed: {
      title: 'Satellites used',
      schema: z.int().min(0),
      unit: '1',
      range: [0, 100],
      rate: 10,
      deadband: 3,
    },
    satellitesInView: {
      title: 'Satellites in view',
      schema: z.int().min(0),
      unit: '1',
      range: [0, 200],
      rate: 10,
      deadband: 5,
    },
    hdop: {
      title: 'Horizontal dilution of precision',
      schema: z.number().min(0),
      unit: '1',
      range: [0, 100],
      rate: 10,
      deadband: 0.5,
    },
    time: {
      title: 'Time by the satellites',
      description: 'ISO 8601, UTC.',
      schema: z.iso.datetime(),
      rate: 10,
      intervalMs: 600_000,
    },
    clockOffset: {
      title: 'Time by the satellites less that of this machine',
      description: 'The transmission, some tenths of a second, is in it.',
      schema: z.number(),
      unit: 's',
      rate: 10,
      deadband: 1,
      intervalMs: 600_000,
    },
  },
  actions:
    chipset === 'mediatek'
      ? {
          setRate: {
            title: 'Set the rate of positions',
            args: z.strictObject({ hz: z.number().min(0.1).max(10).meta({ description: 'positions a second' }) }),
            deadlineMs: 3_000,
            idempotent: true,
            safety: 'setting',
            acknowledgement: 'PMTK001 with flag 3',
            example: { hz: 1 },
          },
        }
      : {},
  events: {},
});

/** Devices on serial lines: which driver works them, where they are plugged in, and what upstream hears of them. */
import { z } from 'zod';
import { duration, id } from './leaves.ts';

/** As drivers/port.ts reads it. */
const portPattern = /^(ask|\/.+|usb:[0-9a-f]{4}:[0-9a-f]{4}(\/.+)?|tcp:\/\/(\[[0-9a-f:]+\]|[^:/\s]+):\d{1,5})$/i;

const lineSchema = z.strictObject({
  baudRate: z
    .int()
    .min(50)
    .max(4_000_000)
    .optional()
    .meta({ title: 'Rate', description: 'Bits a second; default: the driver’s.', unit: 'baud', restart: 'peripheral' }),
  dataBits: z
    .union([z.literal(7), z.literal(8)])
    .optional()
    .meta({ title: 'Data bits', description: '7 or 8; default: the driver’s.', restart: 'peripheral' }),
  parity: z
    .enum(['none', 'even', 'odd'])
    .optional()
    .meta({ title: 'Parity', description: 'Default: the driver’s.', restart: 'peripheral' }),
  stopBits: z
    .union([z.literal(1), z.literal(2)])
    .optional()
    .meta({ title: 'Stop bits', description: '1 or 2; default: the driver’s.', restart: 'peripheral' }),
  echo: z.boolean().default(false).meta({
    title: 'Echo',
    description: 'The line gives back what is written, as two-wire RS-485 adapters do.',
    restart: 'peripheral',
  }),
  answer: duration('0s').meta({
    title: 'Answer limit',
    description: 'How long the device may take to answer; 0s: the driver’s.',
    restart: 'peripheral',
  }),
  turnaround: duration('0s').meta({
    title: 'Turnaround',
    description: 'Pause between an answer and the next request; 0s: the driver’s.',
    restart: 'peripheral',
  }),
});

const telemetrySchema = z.strictObject({
  deadband: z.number().min(0).optional().meta({
    title: 'Deadband',
    description: 'A change smaller than this is not sent; in the property’s unit; default: the driver’s.',
    restart: 'peripheral',
  }),
  interval: duration('0s').meta({
    title: 'Interval',
    description: 'Sent at most this often; 0s: the driver’s.',
    restart: 'peripheral',
  }),
  upstream: z.boolean().default(true).meta({
    title: 'Upstream',
    description: 'Off: rules see it, lane `telemetry` does not.',
    restart: 'peripheral',
  }),
});

const common = {
  id: id('Names the peripheral in readings, rules, commands and events.'),
  enabled: z
    .boolean()
    .default(true)
    .meta({ title: 'Enabled', description: 'Off: the device is left alone.', restart: 'peripheral' }),
  port: z
    .string()
    .regex(portPattern, 'must be a path, usb:VENDOR:PRODUCT, usb:VENDOR:PRODUCT/SERIAL, tcp://HOST:PORT or ask')
    .meta({
      title: 'Port',
      description:
        'Where it is plugged in: /dev/serial/by-id/NAME or another path, usb:VENDOR:PRODUCT with /SERIAL where there are several, tcp://HOST:PORT, or `ask`: each free port is asked who is there. Peripherals with one port share its line.',
      restart: 'peripheral',
    }),
  serial: z.string().min(1).max(128).optional().meta({
    title: 'Serial number',
    description:
      'That the device must answer with when it is asked who it is; another device of the kind is left alone.',
    restart: 'peripheral',
  }),
  line: lineSchema.prefault({}),
  properties: z.record(z.string(), telemetrySchema).default({}).meta({
    title: 'Properties',
    description: 'By name of the driver’s property: how often it is sent.',
    restart: 'peripheral',
  }),
  events: z
    .record(z.string(), z.enum(['alarm', 'event', 'none']))
    .default({})
    .meta({
      title: 'Events',
      description: 'By name of the driver’s event: its lane, `event` when not named; `none`: not told.',
      restart: 'peripheral',
    }),
};

const optionsMeta = { title: 'Options', description: 'Of the driver.', restart: 'peripheral' } as const;
const driverMeta = {
  title: 'Driver',
  description: 'A name from `outpost drivers list`.',
  restart: 'peripheral',
} as const;

/** Without the drivers: their options are looked at when the device is opened. */
export const looseSchema = z.strictObject({
  ...common,
  driver: z.string().meta(driverMeta),
  options: z.record(z.string(), z.unknown()).default({}).meta(optionsMeta),
});
export type PeripheralConfig = z.infer<typeof looseSchema>;

/** With them: each by its name, its options checked like the rest of the configuration. */
export function peripheralSchema(drivers: Readonly<Record<string, z.ZodType>>): z.ZodType<PeripheralConfig> {
  const kinds = Object.entries(drivers).map(([name, options]) =>
    z.strictObject({
      driver: z.literal(name).meta(driverMeta),
      ...common,
      options: (options as z.ZodObject).prefault({}).meta(optionsMeta),
    }),
  );
  const [first, ...others] = kinds;
  return first ? z.discriminatedUnion('driver', [first, ...others]) : looseSchema;
}

/** Every driver that Outpost knows; each is loaded when it is needed, its options apart from the rest. */
import { z } from 'zod';
import { OutpostError } from '#agent/core/errors.ts';
import { type Driver, sealed } from './driver.ts';

interface Entry {
  readonly title: string;
  /** Light: for the configuration's schema. */
  options(): Promise<z.ZodType>;
  load(): Promise<Driver>;
}

const entries = {
  'escpos-printer': {
    title: 'Receipt printers, ESC/POS',
    options: async () => (await import('./escpos-printer/manifest.ts')).options,
    load: async () => sealed((await import('./escpos-printer/driver.ts')).driver),
  },
  'megatec-ups': {
    title: 'Uninterruptible power supplies, Megatec (Q1, QS)',
    options: async () => (await import('./megatec-ups/manifest.ts')).options,
    load: async () => sealed((await import('./megatec-ups/driver.ts')).driver),
  },
  'nmea-gnss': {
    title: 'GNSS receivers, NMEA 0183',
    options: async () => (await import('./nmea-gnss/manifest.ts')).options,
    load: async () => sealed((await import('./nmea-gnss/driver.ts')).driver),
  },
  'mavlink-base': {
    title: 'Robot bases, MAVLink 2 (ArduPilot Rover, PX4)',
    options: async () => (await import('./mavlink-base/manifest.ts')).options,
    load: async () => sealed((await import('./mavlink-base/driver.ts')).driver),
  },
  'pan-tilt': {
    title: 'Pan and tilt heads, Pelco-D and VISCA',
    options: async () => (await import('./pan-tilt/manifest.ts')).options,
    load: async () => sealed((await import('./pan-tilt/driver.ts')).driver),
  },
  'osdp-reader': {
    title: 'Card readers, OSDP with secure channel',
    options: async () => (await import('./osdp-reader/manifest.ts')).options,
    load: async () => sealed((await import('./osdp-reader/driver.ts')).driver),
  },
  'sdt-id-reader': {
    title: 'Resident identity card readers, SDT',
    options: async () => (await import('./sdt-id-reader/manifest.ts')).options,
    load: async () => sealed((await import('./sdt-id-reader/driver.ts')).driver),
  },
  scanner: {
    title: 'Code scanners: QR, bar codes, GS1',
    options: async () => (await import('./scanner/manifest.ts')).options,
    load: async () => sealed((await import('./scanner/driver.ts')).driver),
  },
  'modbus-rtu': {
    title: 'Modbus RTU by a register map: relays, locks, sirens, sensors',
    options: async () => (await import('./modbus-rtu/manifest.ts')).options,
    load: async () => sealed((await import('./modbus-rtu/driver.ts')).driver),
  },
  framed: {
    title: 'Devices with a frame of their own, described in the configuration',
    options: async () => (await import('./framed/manifest.ts')).options,
    load: async () => sealed((await import('./framed/driver.ts')).driver),
  },
} as const satisfies Record<string, Entry>;

export type DriverName = keyof typeof entries;
export const driverNames = Object.keys(entries) as readonly DriverName[];
export const isDriverName = (name: string): name is DriverName => Object.hasOwn(entries, name);
export const driverTitle = (name: DriverName): string => entries[name].title;

/** @throws OutpostError `driver-unknown` */
export async function loadDriver(name: string): Promise<Driver> {
  if (isDriverName(name)) return await entries[name].load();
  throw new OutpostError('driver-unknown', `No driver is named ${name}.`, {
    hint: `There are: ${driverNames.join(', ')}; one for your own device is made by \`outpost drivers new NAME\`.`,
  });
}

/**
 * For buildSchema of the configuration: the options of every driver by its name.
 * @param needed the drivers of the configuration; the options of all others are not loaded, and may be anything
 */
export async function driverOptions(needed?: ReadonlySet<string>): Promise<Readonly<Record<string, z.ZodType>>> {
  const optionsOf = async (name: DriverName): Promise<z.ZodType> =>
    needed === undefined || needed.has(name) ? await entries[name].options() : anything;
  return Object.fromEntries(await Promise.all(driverNames.map(async (name) => [name, await optionsOf(name)])));
}

const anything = z.looseObject({});

/** Maps that are ready: a relay board, a door lock with feedback, a temperature and humidity sensor. */
import type { z } from 'zod';
import type { pointSchema, writeSchema } from './register-map.ts';

export interface ReadyMap {
  readonly title: string;
  readonly points: readonly z.input<typeof pointSchema>[];
  readonly writes: readonly z.input<typeof writeSchema>[];
  /** For the double: bits that follow a coil, and what registers hold. */
  readonly double: {
    readonly follows?: Readonly<Record<string, { readonly point: string; readonly invert: boolean }>>;
    readonly holds?: Readonly<Record<string, number>>;
  };
}

const channels = [1, 2, 3, 4, 5, 6, 7, 8];

export const readyMapNames = ['relay-board', 'door-lock', 'climate'] as const;

export const readyMaps: Readonly<Record<(typeof readyMapNames)[number], ReadyMap>> = {
  // Waveshare "Modbus RTU Relay" (8 channels), wiki, "Development protocol": coils 0 to 7, FC 01 and 05
  'relay-board': {
    title: 'Relay board, 8 channels',
    points: channels.map((channel) => ({
      name: `relay${channel}`,
      title: `Relay ${channel}`,
      table: 'coil',
      address: channel - 1,
    })),
    writes: channels.map((channel) => ({
      name: `setRelay${channel}`,
      title: `Switch relay ${channel}`,
      point: `relay${channel}`,
      safety: 'power',
    })),
    double: {},
  },
  // An I/O module with coils 0.. for outputs and discrete inputs 0.. (Waveshare "Modbus RTU IO 8CH" and kin), wired to a strike
  'door-lock': {
    title: 'Door lock with feedback',
    points: [
      { name: 'released', title: 'Strike released', table: 'coil', address: 0, group: 'fast' },
      {
        name: 'door',
        title: 'Door',
        table: 'discrete',
        address: 0,
        values: { '0': 'shut', '1': 'open' },
        group: 'fast',
      },
      {
        name: 'bolt',
        title: 'Bolt',
        table: 'discrete',
        address: 1,
        values: { '0': 'withdrawn', '1': 'thrown' },
        group: 'fast',
      },
      { name: 'exitButton', title: 'Request to exit', table: 'discrete', address: 2, group: 'fast' },
      { name: 'tamper', title: 'Housing opened', table: 'discrete', address: 3 },
    ],
    writes: [
      {
        name: 'unlock',
        title: 'Release the strike',
        point: 'released',
        value: true,
        safety: 'lock',
        require: [{ property: 'tamper', oneOf: [false] }],
        shownBy: { property: 'bolt', is: 'withdrawn' },
      },
      {
        name: 'lock',
        title: 'Let the strike hold again',
        point: 'released',
        value: false,
        safety: 'lock',
        require: [{ property: 'door', oneOf: ['shut'] }],
        shownBy: { property: 'bolt', is: 'thrown' },
      },
    ],
    double: { follows: { bolt: { point: 'released', invert: true } } },
  },
  // XY-MD02 (SHT20) manual: input registers 1 and 2 in tenths, 9600 8N1, unit 1
  climate: {
    title: 'Temperature and humidity sensor',
    points: [
      {
        name: 'temperature',
        title: 'Temperature',
        table: 'input',
        address: 1,
        type: 'int16',
        scale: 0.1,
        unit: 'Cel',
        min: -40,
        max: 80,
        deadband: 0.3,
      },
      {
        name: 'humidity',
        title: 'Relative humidity',
        table: 'input',
        address: 2,
        scale: 0.1,
        unit: '%',
        min: 0,
        max: 100,
        deadband: 2,
      },
    ],
    writes: [],
    double: { holds: { temperature: 305, humidity: 546 } },
  },
};

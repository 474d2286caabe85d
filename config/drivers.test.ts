/** Drivers' options inside the configuration: checked by their own schema, with place and hint, secrets hidden. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkConfig } from './check.ts';
import { explain } from './explain.ts';
import { configReference } from './reference.ts';
import { buildSchema, configSchema } from './schema.ts';
import { secretPaths, secretValues } from './secrets.ts';

const schema = buildSchema({
  drivers: {
    lamp: z.strictObject({
      watts: z.int().min(1).default(5).meta({ title: 'Power', description: 'Of the lamp.', unit: 'W' }),
    }),
    reader: z.strictObject({ key: z.string().meta({ title: 'Key', description: 'Of the channel.', secret: true }) }),
  },
});
const check = (peripheral: object) =>
  checkConfig({ peripherals: [{ id: 'a', port: '/dev/ttyUSB0', ...peripheral }] }, schema);
const complaints = (peripheral: object): string[] => {
  const checked = check(peripheral);
  return checked.ok
    ? []
    : checked.complaints.map(
        ({ path, message, hint }) => `${path.join('.')}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
      );
};

describe('peripherals', () => {
  it('take the options of their driver, with its defaults', () => {
    const checked = check({ driver: 'lamp' });
    expect(checked.ok && checked.config.peripherals[0]).toMatchObject({
      driver: 'lamp',
      options: { watts: 5 },
      line: { echo: false },
    });
  });

  it.each([
    ['a driver that is none', { driver: 'lump' }, ['peripherals.0.driver: is not a known word (did you mean lamp?)']],
    [
      'a wrong option',
      { driver: 'lamp', options: { watts: 0 } },
      ['peripherals.0.options.watts: must be at least 1 (W)'],
    ],
    [
      'an unknown option',
      { driver: 'lamp', options: { wats: 1 } },
      ['peripherals.0.options.wats: is not a known key (did you mean watts?)'],
    ],
  ])('%s is said with its place', (_what, peripheral, expected) => {
    expect(complaints(peripheral)).toEqual(expected);
  });

  it.each([
    '/dev/serial/by-id/usb-x',
    'usb:10c4:ea60',
    'usb:10c4:EA60/0001',
    'tcp://10.0.0.5:2001',
    'tcp://[::1]:2001',
    'ask',
  ])('may be at %s', (port) => {
    expect(complaints({ driver: 'lamp', port })).toEqual([]);
  });

  it.each(['ttyUSB0', 'usb:10c4', 'tcp://host', 'COM1'])('may not be at %s', (port) => {
    expect(complaints({ driver: 'lamp', port })[0]).toMatch(/must be a path/);
  });

  it('are named once, and rules name those that are there', () => {
    const peripherals = ['a', 'a'].map((id) => ({ id, port: 'ask', driver: 'lamp' }));
    const rules = [{ id: 'r', kind: 'reading', property: 'on', equals: true, peripherals: ['b'] }];
    const checked = checkConfig({ peripherals, rules }, schema);
    expect(checked.ok ? [] : checked.complaints.map(({ path }) => path.join('.'))).toEqual([
      'peripherals.1.id',
      'rules.0.peripherals.0',
    ]);
  });

  it('hide the secrets of their options', () => {
    const data = {
      peripherals: [
        { id: 'a', port: 'ask', driver: 'lamp' },
        { id: 'b', port: 'ask', driver: 'reader', options: { key: 'open-sesame' } },
      ],
    };
    expect(secretPaths(data, schema)).toEqual([['peripherals', 1, 'options', 'key']]);
    const checked = checkConfig(data, schema);
    if (!checked.ok) throw new Error('must be sound');
    expect(secretValues(checked.config, schema)).toContain('open-sesame');
    const shown = explain({ config: checked.config, originOf: () => ({ kind: 'default' }) }, schema);
    expect(shown.find(({ path }) => path === 'peripherals[1].options.key')?.value).toBe('***');
  });

  it('are in the reference, each driver with its options', () => {
    const text = configReference(schema);
    expect(text).toContain('### `driver: lamp`');
    expect(text).toContain('| `watts` | Of the lamp. |');
  });

  it('are taken with any options where the drivers are not known', () => {
    expect(
      configSchema.safeParse({ peripherals: [{ id: 'a', port: 'ask', driver: 'x', options: { any: 1 } }] }).success,
    ).toBe(true);
  });
});

import { describe, expect, it } from 'vitest';
import { buildSchema } from '#config/schema.ts';
import { driverNames, driverOptions } from './registry.ts';

const peripheral = (driver: string, options: object) => ({ id: 'one', driver, port: '/dev/ttyS0', options });

describe('the options of drivers', () => {
  it('are those of the drivers that are named; the others are known by their name', async () => {
    const schema = buildSchema({ drivers: await driverOptions(new Set(['nmea-gnss'])) });
    const accepts = (...peripherals: readonly object[]): boolean => schema.safeParse({ peripherals }).success;
    expect(accepts(peripheral('nmea-gnss', {}))).toBe(true);
    expect(accepts(peripheral('nmea-gnss', { quallity: 3 }))).toBe(false);
    for (const name of driverNames.filter((other) => other !== 'nmea-gnss'))
      expect(accepts(peripheral(name, { anything: true }))).toBe(true);
    expect(accepts(peripheral('nmea-gns', {}))).toBe(false);
  });

  it('are all of them where nobody says which', async () => {
    const schema = buildSchema({ drivers: await driverOptions() });
    for (const name of driverNames)
      expect(schema.safeParse({ peripherals: [peripheral(name, { anything: true })] }).success).toBe(false);
  });
});

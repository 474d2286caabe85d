/** What doctor says of a device, without touching it. */
import { expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { looseSchema } from '#config/peripheral.ts';
import { openPty } from '#drivers/pty.ts';
import { checkPeripheral, checkPorts } from './doctor-peripherals.ts';

const device = (more: object) =>
  looseSchema.parse({ id: 'gnss', driver: 'nmea-gnss', port: '/dev/surely-not-there', ...more });

it('says that it is not plugged in, or that nobody was asked', async () => {
  expect(await checkPeripheral(device({}))).toMatchObject([
    { verdict: 'fail', detail: '/dev/surely-not-there is not plugged in' },
  ]);
  expect(await checkPeripheral(device({ port: 'tcp://10.0.0.1:2001' }))).toMatchObject([{ verdict: 'ok' }]);
  expect(await checkPeripheral(device({ enabled: false }))).toMatchObject([{ detail: 'disabled' }]);
  await expect(checkPeripheral(device({ options: { chipset: 'x' } }))).rejects.toMatchObject({
    code: 'driver-options',
  });
  await expect(checkPeripheral(device({ driver: 'nobody' }))).rejects.toMatchObject({ code: 'driver-unknown' });
});

it('says once how ports are held, where there are any', async () => {
  expect(await checkPorts([device({ port: 'tcp://10.0.0.1:2001' }), device({ enabled: false })])).toEqual([]);
  expect(await checkPorts([device({}), device({ id: 'other' })])).toMatchObject([
    {
      check: 'serial ports',
      verdict: 'ok',
      detail: expect.stringMatching(/refused to all but root|flock alone/) as string,
    },
  ]);
});

describeWith('a port', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('that is there is named', async () => {
    await using pty = openPty(systemClock);
    expect(await checkPeripheral(device({ port: pty.path }))).toMatchObject([
      { verdict: 'ok', detail: `nmea-gnss at ${pty.path}` },
    ]);
  });
});

/** The driver asks modbus-serial's server, another implementation for Node. */
import ModbusRTU from 'modbus-serial';
import { expect, it } from 'vitest';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { openCable } from '../conformance/cable.ts';
import { driver } from './driver.ts';
import { withSession } from './test-rig.ts';

describeWith('the driver asks modbus-serial', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('reads and writes, a device by its unit', async () => {
    await using cable = openCable();
    const holding = new Map([[4, 21]]);
    const coils = new Map([[1, false]]);
    const server = new ModbusRTU.ServerSerial(
      {
        getHoldingRegister: (address: number) => holding.get(address) ?? 0,
        setRegister: (address: number, value: number) => void holding.set(address, value),
        getCoil: (address: number) => coils.get(address) ?? false,
        setCoil: (address: number, value: boolean) => void coils.set(address, value),
      },
      { port: cable.paths[0], baudRate: 9_600, unitID: 3 } as never,
    );
    try {
      const options = driver.options.parse({
        unit: 3,
        points: [
          { name: 'level', table: 'holding', address: 4, scale: 2 },
          { name: 'lamp', table: 'coil', address: 1 },
        ],
        writes: [
          { name: 'setLevel', point: 'level', safety: 'none' },
          { name: 'setLamp', point: 'lamp', safety: 'light' },
        ],
      });
      await withSession(cable.paths[1], options, async (session, signal) => {
        expect((await session.read('level', signal))?.value).toBe(42);
        expect(await session.command('setLevel', { value: 100 }, signal)).toEqual({ status: 'acknowledged' });
        expect(await session.command('setLamp', { value: true }, signal)).toEqual({ status: 'acknowledged' });
        expect([holding.get(4), coils.get(1)]).toEqual([50, true]);
      });
    } finally {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });
});

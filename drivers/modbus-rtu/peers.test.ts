/** Modbus by others: libmodbus (mbpoll) asks our simulator, our driver asks pymodbus's server. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '#agent/core/random.ts';
import { describeWith, needsProgram, type Requirement } from '#agent/testing/require.ts';
import { openCable } from '../conformance/cable.ts';
import { clock } from '../conformance/rig.ts';
import { sealed } from '../driver.ts';
import { openPty } from '../pty.ts';
import { simulate } from '../simulator.ts';
import { driver } from './driver.ts';
import { withSession } from './test-rig.ts';

const terminals = [needsProgram('perl'), needsProgram('stty', 'coreutils')];
const python = '/usr/bin/python3';
const needsPymodbus: Requirement = () =>
  // a module, and no program
  needsProgram('python3')() ??
  (moduleIsThere ? undefined : 'pymodbus (apt-get install python3-pymodbus python3-serial-asyncio)');
const moduleIsThere = await promisify(execFile)(python, ['-c', 'import pymodbus, serial_asyncio']).then(
  () => true,
  () => false,
);

const points = [
  { name: 'wide', table: 'holding', address: 10, type: 'uint32' },
  { name: 'level', table: 'input', address: 3, type: 'int16', scale: 0.1 },
  { name: 'lamp', table: 'coil', address: 5 },
  { name: 'door', table: 'discrete', address: 2 },
];
const writes = [
  { name: 'setWide', point: 'wide', safety: 'none' },
  { name: 'setLamp', point: 'lamp', safety: 'light' },
];
const options = driver.options.parse({ unit: 7, points, writes });

describeWith('libmodbus asks the simulator', [needsProgram('mbpoll'), ...terminals], () => {
  it('reads and writes every table', async () => {
    const stop = new AbortController();
    await using pty = openPty(clock);
    const simulator = driver.simulator(options);
    const memory = simulator.state as Record<string, Record<number, number>>;
    Object.assign(memory['input'] as object, { 3: 0xffff });
    Object.assign(memory['discrete'] as object, { 2: 1 });
    const playing = simulate(
      { simulator, codec: driver.protocol(options).device(), transport: pty, clock, random: seededRandom(1) },
      stop.signal,
    );
    const mbpoll = async (...words: string[]): Promise<string> => {
      const common = ['-m', 'rtu', '-a', '7', '-b', '9600', '-P', 'none', '-0', '-1', '-q'];
      const { stdout } = await promisify(execFile)('mbpoll', [...common, ...words]);
      return stdout.replace(/\s+/g, ' ');
    };
    try {
      expect(await mbpoll('-t', '3', '-r', '3', '-c', '1', pty.path)).toContain('[3]: 65535 (-1)');
      expect(await mbpoll('-t', '1', '-r', '2', '-c', '1', pty.path)).toContain('[2]: 1');
      await mbpoll('-t', '0', '-r', '5', pty.path, '1');
      expect(memory['coil']?.[5]).toBe(1);
      await mbpoll('-t', '4', '-r', '10', pty.path, '1883', '52501');
      expect([memory['holding']?.[10], memory['holding']?.[11]]).toEqual([1_883, 52_501]);
      expect(await mbpoll('-t', '4:int', '-B', '-r', '10', '-c', '1', pty.path)).toContain('[10]: 123456789');
      // an address that is not there is an exception to libmodbus too
      await expect(mbpoll('-t', '4', '-r', '99', '-c', '1', pty.path)).rejects.toMatchObject({
        stderr: expect.stringMatching(/Illegal data address/i) as string,
      });
    } finally {
      stop.abort();
      await playing;
    }
  });
});

const server = `
import sys
from pymodbus.server import StartSerialServer
from pymodbus.transaction import ModbusRtuFramer
from pymodbus.datastore import ModbusSequentialDataBlock as Block, ModbusSlaveContext as Slave, ModbusServerContext as Server
slave = Slave(di=Block(0, [0, 0, 1, 0]), co=Block(0, [0] * 10), hr=Block(0, [0] * 10 + [0x075b, 0xcd15]), ir=Block(0, [0, 0, 0, 0xff38]), zero_mode=True)
print('ready', flush=True)
StartSerialServer(context=Server(slaves={7: slave}, single=False), framer=ModbusRtuFramer, port=sys.argv[1], baudrate=9600)
`;

describeWith('the driver asks pymodbus', [needsPymodbus, ...terminals], () => {
  it('reads, writes, and hears its exceptions', async () => {
    await using cable = openCable();
    const child = spawn(python, ['-c', server, cable.paths[0]], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await once(child.stdout, 'data');
      await withSession(cable.paths[1], options, async (session, signal) => {
        const read = async (name: string) => (await session.read(name, signal))?.value;
        expect([await read('wide'), await read('level'), await read('lamp'), await read('door')]).toEqual([
          123_456_789,
          -20,
          false,
          true,
        ]);
        expect(await session.command('setWide', { value: 987_654_321 }, signal)).toEqual({ status: 'acknowledged' });
        expect(await session.command('setLamp', { value: true }, signal)).toEqual({ status: 'acknowledged' });
        expect([await read('wide'), await read('lamp')]).toEqual([987_654_321, true]);
      });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});

describe('a register that the peer does not have', () => {
  it('is a rejection with its reason', async () => {
    const own = driver.options.parse({
      points: [
        { name: 'x', table: 'holding', address: 0 },
        { name: 'y', table: 'holding', address: 9 },
      ],
      writes: [{ name: 'setY', point: 'y', safety: 'none' }],
    });
    const { openRig } = await import('../conformance/rig.ts');
    await using rig = openRig(sealed(driver), own);
    delete (rig.simulator.state as { holding: Record<number, number> }).holding[9];
    expect(await rig.opened.peripheral.perform?.('setY', { value: 1 }, rig.signal)).toEqual({
      status: 'rejected',
      reason: 'The device has no such address.',
    });
  });
});

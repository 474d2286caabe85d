/**
 * The driver asks libmodbus's own unit-test-server, which plays a good device and several bad ones (its tests/unit-test.h
 * says at which address). `.ci/libmodbus` builds it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, needsProgram, type Requirement } from '#agent/testing/require.ts';
import { openCable } from '../conformance/cable.ts';
import type { Link } from '../link.ts';
import type { OpenedPeripheral } from '../open.ts';
import type { Session } from '../session.ts';
import type { Request, Response } from './codec.ts';
import { driver } from './driver.ts';
import { withSession } from './test-rig.ts';

const server = join(import.meta.dirname, '../../dist/peers/libmodbus-unit-test-server');
const needsServer: Requirement = () =>
  existsSync(server) ? undefined : 'libmodbus’s unit-test-server (apt-get install gcc libmodbus-dev; .ci/libmodbus)';

/** SERVER_ID, and where its tables begin and end. */
const unit = 17;
const coils = { first: 0x130, last: 0x130 + 0x25 - 1 };
const discretes = 0x1c4;
const holding = { first: 0x160, last: 0x160 + 0x20 - 1 };
/** What it does at these holding registers: exception 6; an answer of unit 18; an answer after 0.5 s; none. */
const special = { busy: 0x170, foreign: 0x171, slow: 0x172, silent: 0x173 };

const points = [
  { name: 'firstCoil', table: 'coil', address: coils.first },
  { name: 'lastCoil', table: 'coil', address: coils.last },
  ...Array.from({ length: 22 }, (_unused, at) => ({ name: `input${at}`, table: 'discrete', address: discretes + at })),
  { name: 'ten', table: 'input', address: 0x108 },
  { name: 'word', table: 'holding', address: holding.first, type: 'int16' },
  { name: 'last', table: 'holding', address: holding.last },
  { name: 'wide', table: 'holding', address: holding.first + 4, type: 'float64' },
  { name: 'short', table: 'holding', address: holding.first + 1, type: 'uint32' },
  { name: 'beyond', table: 'holding', address: holding.last + 1, group: 'slow' },
];
const writes = ['firstCoil', 'lastCoil', 'word', 'last', 'wide', 'beyond'].map((point) => ({
  name: `set${point}`,
  point,
  safety: 'none',
}));
const options = driver.options.parse({ unit, points, writes });

interface Asked {
  readonly session: Session;
  readonly link: Link<Response, Request>;
  readonly signal: AbortSignal;
}

async function withServer(answerMs: number, use: (asked: Asked) => Promise<void>): Promise<void> {
  await using cable = openCable();
  const child = spawn(server, ['rtu', cable.paths[0]], { stdio: 'ignore' });
  const over = once(child, 'exit');
  try {
    await withSession(
      cable.paths[1],
      options,
      async (session, signal, opened: OpenedPeripheral) =>
        await use({ session, link: opened.link as Link<Response, Request>, signal }),
      answerMs,
    );
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill('SIGKILL');
    await over;
  }
}

const bytes = (...values: number[]): Buffer => Buffer.from(values);

const askRegister = async ({ link, signal }: Asked, address: number, count = 1) =>
  await link.request(
    { unit, fn: 3, address, count },
    { matches: (response) => response.unit === unit && response.fn === 3 },
    signal,
  );

const requirements = [needsServer, needsProgram('perl'), needsProgram('stty', 'coreutils')];

describeWith('the driver asks libmodbus’s unit-test-server', requirements, () => {
  it('reads every table and writes both that can be written, to their ends', async () => {
    await withServer(2_000, async ({ session, signal }) => {
      const read = async (name: string) => (await session.read(name, signal))?.value;
      // UT_INPUT_BITS_TAB, the lowest bit first, and UT_INPUT_REGISTERS_TAB
      const bits = [0xac, 0xdb, 0x35].flatMap((byte) => Array.from({ length: 8 }, (_unused, at) => (byte >> at) & 1));
      for (const at of [0, 1, 2, 3, 7, 8, 15, 16, 21])
        expect([at, await read(`input${at}`)]).toEqual([at, bits[at] === 1]);
      expect(await read('ten')).toBe(10);
      expect([await read('firstCoil'), await read('lastCoil'), await read('word')]).toEqual([false, false, 0]);
      const written = { firstCoil: true, lastCoil: true, word: -2_000, last: 65_535, wide: 123_456.25 };
      for (const [point, value] of Object.entries(written)) {
        expect(await session.command(`set${point}`, { value }, signal)).toEqual({ status: 'acknowledged' });
        expect([point, await read(point)]).toEqual([point, value]);
      }
      expect(await session.command('setfirstCoil', { value: false }, signal)).toEqual({ status: 'acknowledged' });
      expect([await read('firstCoil'), await read('lastCoil')]).toEqual([false, true]);
    });
  });

  it('reads many bits in one question', async () => {
    await withServer(2_000, async ({ session, link, signal }) => {
      await session.command('setlastCoil', { value: true }, signal);
      const matches = (response: Response) => response.unit === unit && response.fn === 1;
      const answer = await link.request({ unit, fn: 1, address: coils.first, count: 37 }, { matches }, signal);
      expect(answer).toMatchObject({ is: 'answered', message: { data: bytes(0, 0, 0, 0, 0x10) } });
    });
  });

  it('hears its exceptions', async () => {
    await withServer(2_000, async (asked) => {
      expect(await asked.session.command('setbeyond', { value: 1 }, asked.signal)).toEqual({
        status: 'rejected',
        reason: 'The device has no such address.',
      });
      expect(await askRegister(asked, special.busy)).toMatchObject({ message: { exception: 6 } });
      expect(await askRegister(asked, holding.last, 3)).toMatchObject({ message: { exception: 2 } });
    });
  });

  it('takes a slow answer within its time, and after it from nobody', async () => {
    await withServer(2_000, async (asked) => {
      const answer = await askRegister(asked, special.slow);
      expect(answer).toMatchObject({ is: 'answered', message: { data: bytes(0, 0) } });
      expect(answer.is === 'answered' && answer.roundTripMs).toBeGreaterThanOrEqual(495);
    });
    await withServer(450, async (asked) => {
      await asked.session.command('setword', { value: 7 }, asked.signal);
      expect(await askRegister(asked, special.slow)).toEqual({ is: 'timeout', written: true });
      // 50 ms later the late zero comes, while the line is left alone
      expect(await askRegister(asked, holding.first)).toMatchObject({ message: { data: bytes(0, 7) } });
    });
  });

  it('refuses an answer of another unit and one that is too short, and bears silence', async () => {
    await withServer(300, async (asked) => {
      await asked.session.command('setword', { value: 7 }, asked.signal);
      for (const [address, count] of [
        [special.foreign, 1],
        [holding.first + 1, 2],
        [special.silent, 1],
      ] as const) {
        expect(await askRegister(asked, address, count)).toEqual({ is: 'timeout', written: true });
        expect(await askRegister(asked, holding.first)).toMatchObject({ message: { data: bytes(0, 7) } });
      }
      expect(await asked.session.read('short', asked.signal)).toBeUndefined();
    });
  });
});

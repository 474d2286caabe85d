/** The suite, and the register map: types, orders, blocks, guards. */
import { describe, expect, it } from 'vitest';
import { describeDriver } from '../conformance.ts';
import { openRig } from '../conformance/rig.ts';
import { sealed } from '../driver.ts';
import { Session } from '../session.ts';
import { systemClock } from '#agent/core/clock.ts';
import { driver } from './driver.ts';
import { blocksOf, pointSchema, rawOf, valueOf } from './register-map.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

const point = (more: object) => pointSchema.parse({ name: 'x', table: 'holding', address: 0, ...more });

describe('types', () => {
  // 123456789 = 0x075BCD15; the orders as Modbus people name them
  it.each([
    ['abcd', [0x075b, 0xcd15]],
    ['cdab', [0xcd15, 0x075b]],
    ['badc', [0x5b07, 0x15cd]],
    ['dcba', [0x15cd, 0x5b07]],
  ] as const)('%s', (order, words) => {
    const wide = point({ type: 'uint32', order });
    expect(valueOf(wide, words)).toBe(123_456_789);
    expect(rawOf(wide, 123_456_789)).toEqual(words);
  });

  it.each([
    ['int16', -1, [0xffff]],
    ['uint16', 65_535, [0xffff]],
    ['int32', -2, [0xffff, 0xfffe]],
    ['float32', -118.625, [0xc2ed, 0x4000]],
    ['float64', 0.5, [0x3fe0, 0, 0, 0]],
    ['int64', -3, [0xffff, 0xffff, 0xffff, 0xfffd]],
    ['uint64', 2 ** 40, [0, 0x0100, 0, 0]],
  ] as const)('%s %f', (type, value, words) => {
    expect(valueOf(point({ type }), words)).toBe(value);
    expect(rawOf(point({ type }), value)).toEqual(words);
  });

  it('are scaled, shifted, named, inverted, cut out of a register, and known to be none', () => {
    expect(valueOf(point({ type: 'int16', scale: 0.1 }), [214])).toBe(21.4);
    expect(valueOf(point({ type: 'uint16', scale: 0.5, offset: -40 }), [100])).toBe(10);
    expect(rawOf(point({ type: 'uint16', scale: 0.5, offset: -40 }), 10)).toEqual([100]);
    expect(valueOf(point({ values: { '2': 'open' } }), [2])).toBe('open');
    expect(rawOf(point({ values: { '2': 'open' } }), 'open')).toEqual([2]);
    expect(valueOf(point({ type: 'bool', bit: 3 }), [0b1000])).toBe(true);
    expect(valueOf(point({ table: 'coil', invert: true }), [1])).toBe(false);
    expect(valueOf(point({ type: 'int16', invalid: -32_768 }), [0x8000])).toBeUndefined();
    expect(valueOf(point({ type: 'float32' }), [0x7fc0, 0])).toBeUndefined();
    expect(valueOf(point({ type: 'string', length: 3 }), [0x4142, 0x4300, 0x2020])).toBe('ABC');
  });

  it('hold what they can hold', () => {
    expect(rawOf(point({ type: 'uint16' }), 65_536)).toBeUndefined();
    expect(rawOf(point({ type: 'uint16' }), -1)).toBeUndefined();
    expect(rawOf(point({ type: 'int16' }), true)).toBeUndefined();
  });
});

describe('blocks', () => {
  it('join neighbours of one table and bridge no gap', () => {
    const points = [
      point({ name: 'c', address: 4 }),
      point({ name: 'a', address: 0, type: 'uint32' }),
      point({ name: 'b', address: 2 }),
      point({ name: 'd', table: 'input', address: 5 }),
    ];
    expect(blocksOf(points, 60).map(({ table, address, count }) => [table, address, count])).toEqual([
      ['holding', 0, 3],
      ['holding', 4, 1],
      ['input', 5, 1],
    ]);
    expect(blocksOf(points, 2).map(({ address, count }) => [address, count])).toEqual([
      [0, 2],
      [2, 1],
      [4, 1],
      [5, 1],
    ]);
  });
});

describe('the map', () => {
  const faults = (given: object): string[] =>
    (driver.options.safeParse(given).error?.issues ?? []).map(({ message }) => message);
  const valve = { name: 'valve', table: 'holding', address: 1, type: 'uint16' };

  it.each([
    ['nothing', {}, 'needs one at least, or a ready map'],
    ['two of a name', { points: [valve, valve] }, 'has two points that are named valve'],
    [
      'a write of what is not there',
      { points: [valve], writes: [{ name: 'w', point: 'vale', safety: 'none' }] },
      'writes vale, which is no point',
    ],
    [
      'a write of an input',
      { points: [{ ...valve, table: 'input' }], writes: [{ name: 'w', point: 'valve', safety: 'none' }] },
      'writes valve, which can only be read',
    ],
    [
      'a value that does not fit',
      { points: [valve], writes: [{ name: 'w', point: 'valve', value: 70_000, safety: 'none' }] },
      'writes 70000, which valve cannot hold',
    ],
    [
      'a guard of what is not there',
      {
        points: [valve],
        writes: [
          { name: 'w', point: 'valve', value: 1, safety: 'none', require: [{ property: 'door', oneOf: [true] }] },
        ],
      },
      'asks door, which is no point',
    ],
    [
      'a stop without its value',
      { points: [valve], writes: [{ name: 'w', point: 'valve', safety: 'stop' }] },
      'is of class stop: it needs a `value`, and has no guards and no `idempotent: false`',
    ],
    [
      'a stop that is done once',
      { points: [valve], writes: [{ name: 'w', point: 'valve', value: 0, safety: 'stop', idempotent: false }] },
      'is of class stop: it needs a `value`, and has no guards and no `idempotent: false`',
    ],
  ])('with %s is refused', (_what, given, message) => {
    expect(faults(given)).toContain(message);
  });

  it('refuses an argument beyond its guards', () => {
    const given = driver.options.parse({
      points: [valve],
      writes: [{ name: 'set', point: 'valve', least: 10, most: 90, safety: 'motion' }],
    });
    const { args } = driver.manifest(given).actions['set'] ?? {};
    expect(args?.safeParse({ value: 50 }).success).toBe(true);
    expect(args?.safeParse({ value: 91 }).success).toBe(false);
    expect(args?.safeParse({}).success).toBe(false);
  });
});

describe('the door lock', () => {
  const given = driver.options.parse({ map: 'door-lock' });
  const memory = (rig: ReturnType<typeof openRig>) =>
    rig.simulator.state as unknown as Record<'coil' | 'discrete', Record<number, number>>;

  it('is not locked while the door is open, and nothing is written', async () => {
    await using rig = openRig(sealed(driver), given);
    const session = new Session({ opened: rig.opened, id: 'door', clock: systemClock });
    await session.open(rig.signal);
    memory(rig).discrete[0] = 1;
    expect(await session.command('lock', {}, rig.signal)).toEqual({
      status: 'rejected',
      reason: 'door must be shut first; it is "open".',
    });
    memory(rig).discrete[0] = 0;
    expect(await session.command('unlock', {}, rig.signal)).toMatchObject({ status: 'acknowledged' });
    expect(memory(rig).discrete[1]).toBe(0);
    expect(await session.command('lock', {}, rig.signal)).toMatchObject({ status: 'acknowledged' });
  });

  it('shows by its bolt that it was unlocked, when the answer was lost', async () => {
    await using rig = openRig(sealed(driver), given);
    const session = new Session({ opened: rig.opened, id: 'door', clock: systemClock });
    await session.open(rig.signal);
    const writes = () => rig.received.filter((request) => (request as { fn: number }).fn === 5).length;
    // deaf from the moment of the write to the moment after it
    const lost = (async () => {
      while (writes() === 0) await new Promise((resolve) => setImmediate(resolve));
    })();
    const outcome = session.command('unlock', {}, rig.signal);
    rig.faults = {
      get silent() {
        return writes() > 0 && rig.received.length > 0 && (rig.received.at(-1) as { fn: number }).fn === 5;
      },
    };
    await lost;
    expect(await outcome).toEqual({ status: 'acknowledged', result: { shownBy: 'bolt' } });
    expect(writes()).toBe(1);
  });
});

describe('a bus', () => {
  it('is shared by two devices, and each hears its own', async () => {
    const { memoryPair } = await import('../memory-transport.ts');
    const { Bus } = await import('../bus.ts');
    const { openPeripheral } = await import('../open.ts');
    const { silentLog } = await import('#agent/core/log.ts');
    const [host, far] = memoryPair();
    const given = [1, 2].map((unit) => driver.options.parse({ unit, map: 'climate' }));
    const doubles = given.map((each) => driver.simulator(each));
    const codec = driver.protocol(given[0] as never).device();
    far.attach({
      onBytes: (bytes) => {
        for (const request of codec.push(bytes).messages)
          for (const response of doubles.flatMap((double) => double.receive(request)))
            void far.write(codec.encode(response));
      },
      onClosed: () => undefined,
    });
    Object.assign(doubles[1]?.state?.['input'] as object, { 1: 0xffff });
    const bus = new Bus(host, systemClock);
    const opened = given.map((options) =>
      openPeripheral({ driver: sealed(driver), options, bus, clock: systemClock, log: silentLog }),
    );
    const { signal } = new AbortController();
    const read = await Promise.all(
      opened.map(async ({ peripheral }) => await peripheral.read?.('temperature', signal)),
    );
    expect(read.map((observations) => observations?.[0])).toMatchObject([{ value: 30.5 }, { value: -0.1 }]);
    for (const each of opened) each[Symbol.dispose]();
    await host[Symbol.asyncDispose]();
  });
});

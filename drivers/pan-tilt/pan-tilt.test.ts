/** What every driver has to hold, in both protocols; and that no move outlives who asked for it. */
import { describe, expect, it } from 'vitest';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { Bus } from '../bus.ts';
import { carryOut } from '../command.ts';
import { describeDriver } from '../conformance.ts';
import { clock, quickLine } from '../conformance/rig.ts';
import { type Observation, type Outcome, sealed } from '../driver.ts';
import { memoryPair } from '../memory-transport.ts';
import { openPeripheral, type OpenedPeripheral } from '../open.ts';
import { type Faults, simulate } from '../simulator.ts';
import { headCodec, type HeadMessage } from './codec.ts';
import { driver } from './driver.ts';
import { options } from './manifest.ts';
import type { Pose } from './pose.ts';
import { type HeadSimulator, headSimulator } from './simulator.ts';
import vectors from './vectors.json' with { type: 'json' };
import visca from './vectors-visca.json' with { type: 'json' };

const silentPresets = 'Pelco-D does not say whether a preset was kept';
describeDriver(driver, vectors, { unanswered: { setPreset: silentPresets, clearPreset: silentPresets } });
describeDriver(driver, visca, { options: { protocol: 'visca' } });

interface Held extends AsyncDisposable {
  readonly head: HeadSimulator;
  readonly opened: OpenedPeripheral;
  readonly received: readonly HeadMessage[];
  readonly told: readonly Observation[];
  readonly agent: { isHealthy: boolean };
  faults: Faults;
  act(action: string, args?: Readonly<Record<string, unknown>>): Promise<Outcome>;
  /** As when the agent ends, or the peripheral is taken out of the configuration. */
  giveUp(): Promise<void>;
  reading(property: string): unknown;
}

async function openHead(choice: Readonly<Record<string, unknown>>): Promise<Held> {
  const parsed = options.parse({ pollEvery: 100, ...choice });
  const head = headSimulator(parsed);
  const [host, end] = memoryPair();
  const stop = new AbortController();
  const observed = new AbortController();
  const received: HeadMessage[] = [];
  const told: Observation[] = [];
  const agent = { isHealthy: true };
  const held = { faults: {} as Faults };
  const playing = simulate(
    {
      simulator: head,
      codec: headCodec(parsed.protocol, 'controller'),
      transport: end,
      clock,
      random: seededRandom(1),
      faults: () => held.faults,
      onReceive: (message) => received.push(message),
    },
    stop.signal,
  );
  const opened = openPeripheral({
    driver: sealed(driver),
    options: parsed,
    bus: new Bus(host, clock),
    clock,
    log: silentLog,
    line: quickLine,
    isHealthy: () => agent.isHealthy,
  });
  expect(await opened.peripheral.identify(stop.signal)).toBeDefined();
  await opened.peripheral.configure?.(stop.signal);
  const observing = (async () => {
    for await (const each of opened.peripheral.observe(observed.signal)) told.push(each);
  })().catch(() => undefined);
  const reading = (property: string): unknown =>
    (told.findLast((each) => each.is === 'reading' && each.property === property) as { value?: unknown } | undefined)
      ?.value;
  return Object.assign(held, {
    head,
    opened,
    received,
    told,
    agent,
    reading,
    act: async (action: string, args: Readonly<Record<string, unknown>> = {}) =>
      await carryOut(action, args, { opened, clock, latest: () => undefined }, stop.signal),
    async giveUp() {
      observed.abort();
      await observing;
      await opened.peripheral.close?.(stop.signal);
    },
    async [Symbol.asyncDispose]() {
      observed.abort();
      await observing;
      stop.abort();
      opened[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
      await end[Symbol.asyncDispose]();
      await playing;
    },
  });
}

const isStop = (message: HeadMessage): boolean =>
  message.protocol === 'visca'
    ? Buffer.from(message.payload).toString('hex') === '01060101010303'
    : message.command2 === 0 && message.command1 === 0;

describe.each(['pelco-d', 'visca'] as const)('a move by %s', (protocol) => {
  it('is stopped when nobody says it again', async () => {
    await using held = await openHead({ protocol, lease: 400 });
    expect(await held.act('move', { pan: -0.3, tilt: 0.1 })).toMatchObject({ status: 'acknowledged' });
    await eventually(() => held.head.isMoving, 'motion');
    await eventually(() => !held.head.isMoving, 'the end of it');
    await eventually(() => held.reading('stoppedBy') === 'silence', 'why');
    expect(held.head.pose.pan).toBeLessThan(0);
    expect(held.head.pose.tilt).toBeGreaterThan(0);
  });

  it('goes on as long as it is said again', async () => {
    await using held = await openHead({ protocol, lease: 2_000 });
    const velocities = Array.from({ length: 30 }, (_unused, index) => 0.2 + index / 200);
    for (const pan of velocities) {
      expect(await held.act('move', { pan })).toMatchObject({ status: 'acknowledged' });
      await clock.sleep(100);
    }
    expect(held.reading('stoppedBy')).toBe('none');
    expect(held.head.isMoving).toBe(true);
    expect(await held.act('stop')).toMatchObject({ status: 'acknowledged' });
    expect(held.head.isMoving).toBe(false);
    await eventually(() => held.reading('stoppedBy') === 'caller', 'why');
  });

  it('is stopped when the agent is unwell, and none is begun', async () => {
    await using held = await openHead({ protocol, lease: 10_000 });
    await held.act('move', { pan: 0.3 });
    held.agent.isHealthy = false;
    await eventually(() => held.reading('stoppedBy') === 'unwell', 'why');
    expect(held.head.isMoving).toBe(false);
    const before = held.received.length;
    await held.giveUp();
    for (const action of ['move', 'goTo', 'goPreset', 'step'])
      expect(await held.act(action, held.opened.manifest.actions[action]?.example)).toMatchObject({
        status: 'rejected',
        reason: expect.stringMatching(/unwell/) as string,
      });
    expect(held.received.length - before).toBeLessThanOrEqual(4);
  });

  it('is stopped when the peripheral is given up', async () => {
    await using held = await openHead({ protocol, lease: 10_000 });
    await held.act('move', { pan: 0.3 });
    await eventually(() => held.head.isMoving, 'motion');
    await held.giveUp();
    await eventually(() => !held.head.isMoving, 'the end of it');
  });

  it('to a place is ended when the peripheral is given up', async () => {
    await using held = await openHead({ protocol });
    expect(await held.act('goTo', { pan: 170, tilt: 0 })).toMatchObject({ status: 'acknowledged' });
    await held.giveUp();
    await eventually(() => !held.head.isMoving, 'the end of it');
    expect(held.head.pose.pan).toBeLessThan(169);
  });

  it('that was not answered is stopped all the same, and again until the stop is answered', async () => {
    await using held = await openHead({ protocol, lease: 300 });
    held.faults = { silent: true };
    expect(
      await held.opened.peripheral.perform?.('move', { pan: 0.3, tilt: 0, zoom: 0 }, new AbortController().signal),
    ).toMatchObject({
      status: 'unknown',
    });
    await eventually(() => !held.head.isMoving, 'the end of it');
    held.faults = {};
    await eventually(() => held.reading('stoppedBy') === 'silence', 'a stop that was answered');
  });

  it('whose stop is not answered is told to stop until it is', async () => {
    await using held = await openHead({ protocol, lease: 10_000 });
    await held.act('move', { pan: 0.3 });
    held.faults = { silent: true };
    const stops = (): number => held.received.filter(isStop).length;
    expect(await held.act('stop')).toMatchObject({ status: 'unknown' });
    const before = stops();
    await eventually(() => stops() > before, 'one more stop');
    held.faults = {};
    await eventually(() => held.reading('stoppedBy') === 'caller', 'a stop that was answered');
    expect(held.head.isMoving).toBe(false);
  });

  it('for a while ends before it is answered', async () => {
    await using held = await openHead({ protocol });
    expect(await held.act('step', { pan: 0.4, ms: 200 })).toMatchObject({ status: 'acknowledged' });
    expect(held.head.isMoving).toBe(false);
    expect(held.head.pose.pan).toBeGreaterThan(0);
  });

  it('for a while ends when its command is given up', async () => {
    await using held = await openHead({ protocol });
    const stop = new AbortController();
    const step = held.opened.peripheral.perform?.('step', { pan: 0.4, tilt: 0, zoom: 0, ms: 5_000 }, stop.signal);
    const ended = step?.then(
      () => 'ended',
      () => 'given up',
    );
    await eventually(() => held.head.isMoving, 'motion');
    stop.abort();
    expect(await ended).toBe('given up');
    await eventually(() => !held.head.isMoving, 'the end of it');
  });

  it('to a place, a preset and a zoom arrives there', async () => {
    await using held = await openHead({ protocol });
    expect(await held.act('goTo', { pan: -40.5, tilt: -10.25, zoom: 0.25 })).toMatchObject({ status: 'acknowledged' });
    await eventually(() => held.reading('moving') === false && Math.abs(held.head.pose.pan + 40.5) < 0.1, 'the place');
    await eventually(() => Math.abs(held.head.pose.zoom - 0.25) < 0.001, 'the zoom');
    expect(held.head.pose.tilt).toBeCloseTo(-10.25, 1);
    await eventually(() => {
      const { pan, tilt } = (held.reading('position') ?? {}) as { pan?: number; tilt?: number };
      return pan?.toFixed(0) === '-41' || (pan?.toFixed(0) === '-40' && tilt?.toFixed(0) === '-10');
    }, 'it being told');
    await held.act('setPreset', { preset: 5 });
    await held.act('goPreset', { preset: 1 });
    await eventually(() => Math.abs(held.head.pose.pan - 60) < 0.1, 'preset 1');
    expect(await held.act('goPreset', { preset: 5 })).toMatchObject({ status: 'acknowledged' });
    await eventually(() => Math.abs(held.head.pose.pan + 40.5) < 0.1, 'preset 5');
  });

  it('beyond the presets that are let through is refused', async () => {
    await using held = await openHead({ protocol });
    expect(await held.act('goPreset', { preset: 95 })).toMatchObject({ status: 'rejected' });
  });
});

it('Pelco-D: a head that stands at its end is told so, and stopped', async () => {
  await using held = await openHead({ protocol: 'pelco-d', lease: 10_000 });
  await held.act('goTo', { pan: 0, tilt: 90 });
  await eventually(() => held.head.pose.tilt === 90, 'its end');
  expect(await held.act('move', { tilt: 0.5 })).toMatchObject({ status: 'rejected' });
  await eventually(() => (held.head.state?.['velocity'] as Pose | undefined)?.tilt === 0, 'the stop');
});

it('VISCA: a stop finds its way past two commands that fill the sockets', async () => {
  await using held = await openHead({ protocol: 'visca' });
  await held.act('goTo', { pan: 170, tilt: 0, zoom: 1 });
  await held.act('goTo', { pan: -170, tilt: 0 });
  expect(await held.act('stop')).toMatchObject({ status: 'acknowledged' });
  expect(held.head.isMoving).toBe(false);
});

it('VISCA: what the camera refuses is rejected in its words', async () => {
  await using held = await openHead({ protocol: 'visca' });
  await held.act('goTo', { pan: 170, tilt: 0, zoom: 1 });
  const third = await held.act('goPreset', { preset: 1 });
  expect(third).toEqual({ status: 'rejected', reason: 'The camera is busy with two commands.' });
});

it('VISCA has seven addresses', () => {
  expect(options.safeParse({ protocol: 'visca', address: 8 }).success).toBe(false);
  expect(options.safeParse({ protocol: 'pelco-d', address: 8 }).success).toBe(true);
});

/** What every driver has to hold, and what a base has to: nothing moves that should not, and silence stops it. */
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
import { mavlinkCodec, type Packet } from './codec.ts';
import { driver } from './driver.ts';
import { options } from './manifest.ts';
import { commands } from './enums.ts';
import { type Rover, rover, type RoverOptions } from './simulator.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

interface Base extends AsyncDisposable {
  readonly rover: Rover;
  readonly opened: OpenedPeripheral;
  readonly received: readonly Packet[];
  readonly told: readonly Observation[];
  readonly signal: AbortSignal;
  readonly agent: { isHealthy: boolean };
  faults: Faults;
  /** As the agent does it: arguments, preconditions, the deed. */
  act(action: string, args?: Readonly<Record<string, unknown>>): Promise<Outcome>;
  /** The newest reading. */
  reading(property: string): unknown;
}

interface BaseOptions {
  readonly rover?: RoverOptions;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Identified, configured and observed, as by the agent. */
async function openBase(choice: BaseOptions = {}): Promise<Base> {
  const parsed = options.parse({ ...driver.example, ...choice.options });
  const device = rover(parsed, choice.rover);
  const [host, end] = memoryPair();
  const stop = new AbortController();
  const { signal } = stop;
  const received: Packet[] = [];
  const told: Observation[] = [];
  const agent = { isHealthy: true };
  const open = { faults: {} as Faults };
  const key = parsed.signingKey === undefined ? undefined : Buffer.from(parsed.signingKey, 'hex');
  const playing = simulate(
    {
      simulator: device,
      codec: mavlinkCodec(key),
      transport: end,
      clock,
      random: seededRandom(1),
      faults: () => open.faults,
      onReceive: (packet) => received.push(packet),
    },
    signal,
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
  expect(await opened.peripheral.identify(signal)).toBeDefined();
  await opened.peripheral.configure?.(signal);
  const observing = (async () => {
    for await (const each of opened.peripheral.observe(signal)) told.push(each);
  })().catch(() => undefined);
  const reading = (property: string): unknown =>
    told.findLast((each) => each.is === 'reading' && each.property === property);
  return Object.assign(open, {
    rover: device,
    opened,
    received,
    told,
    signal,
    agent,
    reading: (property: string) => (reading(property) as { value?: unknown } | undefined)?.value,
    act: async (action: string, args: Readonly<Record<string, unknown>> = {}) =>
      await carryOut(action, args, { opened, clock, latest: () => undefined }, signal),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await observing;
      opened[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
      await end[Symbol.asyncDispose]();
      await playing;
    },
  });
}

const commandsOf = (base: Base): readonly number[] =>
  base.received.flatMap(({ message }) =>
    message.name === 'COMMAND_LONG' || message.name === 'COMMAND_INT' ? [message.fields.command] : [],
  );

const middle = { latitude: 31.2307, longitude: 121.4741 };
/** Some metres to the north. */
const north = (metres: number): { latitude: number; longitude: number } => ({
  ...middle,
  latitude: middle.latitude + metres / 111_320,
});
const outside = { latitude: 31.24, longitude: 121.4741 };

/** Refused, and of its commands not one byte was written. */
async function expectRefused(base: Base, action: string, args: Readonly<Record<string, unknown>>, why: RegExp) {
  const before = commandsOf(base).length;
  const items = base.received.filter(({ message }) => message.name === 'MISSION_COUNT').length;
  const outcome = await base.act(action, args);
  expect(outcome).toMatchObject({ status: 'rejected' });
  expect((outcome as { reason: string }).reason).toMatch(why);
  expect(commandsOf(base)).toHaveLength(before);
  expect(base.received.filter(({ message }) => message.name === 'MISSION_COUNT')).toHaveLength(items);
}

describe('the failsafe', () => {
  it('holds the base when our heartbeat stops because the agent is unwell', async () => {
    await using base = await openBase({ rover: { params: { FS_TIMEOUT: 1 } } });
    expect(await base.act('arm')).toEqual({ status: 'acknowledged' });
    expect(await base.act('goTo', north(30))).toEqual({ status: 'acknowledged' });
    await eventually(() => base.rover.isMoving, 'the base under way');
    base.agent.isHealthy = false;
    await eventually(() => base.rover.state.mode === 'hold' && !base.rover.isMoving, 'the base at rest');
    await eventually(() => base.reading('mode') === 'hold', 'that being told');
    // and nothing sends it on, but it may be held and disarmed
    await expectRefused(base, 'goTo', north(30), /unwell/);
    expect(await base.act('disarm')).toEqual({ status: 'acknowledged' });
  });

  it('is not needed when the agent ends in order: a base that drives by our word holds', async () => {
    await using base = await openBase();
    await base.act('arm');
    expect(await base.act('goTo', north(30))).toEqual({ status: 'acknowledged' });
    await base.opened.peripheral.close?.(base.signal);
    expect(base.rover.state.mode).toBe('hold');
    // one that holds is told nothing
    const before = commandsOf(base).length;
    await base.opened.peripheral.close?.(base.signal);
    expect(commandsOf(base)).toHaveLength(before);
  });

  it('does not hold while we are well, also while an answer is waited for', async () => {
    await using base = await openBase({ rover: { params: { FS_TIMEOUT: 4 } } });
    await base.act('arm');
    await base.act('goTo', north(30));
    for (let times = 0; times < 4; times += 1) await base.act('readParameter', { name: 'NO_SUCH_PARAM' });
    expect(base.rover.state.mode).toBe('guided');
    expect(base.rover.isMoving).toBe(true);
  });

  it.each([
    ['switched off', { FS_GCS_ENABLE: 0 }, /FS_GCS_ENABLE is 0/],
    ['not in a mission', { FS_GCS_ENABLE: 2 }, /FS_GCS_ENABLE is 2/],
    ['to return home', { FS_ACTION: 1 }, /FS_ACTION is 1/],
    ['too late', { FS_TIMEOUT: 30 }, /FS_TIMEOUT is 30/],
    ['for another station', { SYSID_MYGCS: 254 }, /SYSID_MYGCS is 254/],
  ])('that is %s: not armed', async (_name, params, why) => {
    await using base = await openBase({ rover: { params } });
    expect(base.opened.manifest.actions['arm']?.preconditions).toContainEqual({
      property: 'failsafe',
      oneOf: ['hold'],
    });
    await expectRefused(base, 'arm', {}, /failsafe must be hold first; it is "other"/);
    expect(await base.opened.peripheral.perform?.('arm', {}, base.signal)).toMatchObject({
      status: 'rejected',
      reason: expect.stringMatching(why) as string,
    });
    expect(base.rover.state.armed).toBe(false);
  });

  it('that was changed behind our back is asked for again before it is armed', async () => {
    await using base = await openBase({ rover: {} });
    const params = { FS_ACTION: 2 };
    expect(await base.act('readParameter', { name: 'FS_ACTION' })).toEqual({ status: 'acknowledged', result: params });
    base.rover.setParameter('FS_ACTION', 0);
    await expectRefused(base, 'arm', {}, /failsafe must be hold first/);
  });

  it('of PX4 is read from the bits of its floats, and set to hold by its own modes', async () => {
    await using base = await openBase({ rover: { autopilot: 'px4' } });
    expect(await base.act('arm')).toEqual({ status: 'acknowledged' });
    expect(await base.act('startMission')).toEqual({ status: 'acknowledged' });
    await eventually(() => base.reading('mode') === 'mission', 'the mode of the mission');
    expect(await base.act('hold')).toEqual({ status: 'acknowledged' });
    expect(base.rover.state.mode).toBe('hold');
    await using other = await openBase({ rover: { autopilot: 'px4', params: { NAV_DLL_ACT: 2 } } });
    await expectRefused(other, 'arm', {}, /failsafe must be hold first/);
  });
});

describe('the fence', () => {
  it('is loaded into the autopilot, once', async () => {
    await using base = await openBase();
    expect(base.rover.state['fence']).toHaveLength(4);
    expect(base.rover.state['fenceEnabled']).toBe(true);
    expect(await base.opened.peripheral.read?.('fence', base.signal)).toEqual([
      { is: 'reading', property: 'fence', value: 'loaded' },
    ]);
    const counts = (): number => base.received.filter(({ message }) => message.name === 'MISSION_COUNT').length;
    const before = counts();
    await base.opened.peripheral.configure?.(base.signal);
    expect(counts()).toBe(before);
  });

  it('refuses before a byte what leads out of it', async () => {
    await using base = await openBase();
    await expectRefused(base, 'goTo', outside, /outside of the fence/);
    await expectRefused(base, 'uploadMission', { waypoints: [middle, outside] }, /Waypoint 2 is outside/);
  });

  it('with a dent refuses the way through the dent', async () => {
    const fence = [
      ...(driver.example['fence'] as readonly { latitude: number; longitude: number }[]),
      // a notch from the west to beyond the middle
      { latitude: 31.2308, longitude: 121.4737 },
      { latitude: 31.2308, longitude: 121.4743 },
      { latitude: 31.2306, longitude: 121.4743 },
      { latitude: 31.2306, longitude: 121.4737 },
    ];
    const south = { latitude: 31.2305, longitude: 121.4739 };
    const beyond = { latitude: 31.2309, longitude: 121.4739 };
    await using base = await openBase({ options: { fence }, rover: { at: south } });
    await expectRefused(base, 'goTo', beyond, /leaves the fence/);
    await expectRefused(base, 'uploadMission', { waypoints: [south, beyond] }, /way from waypoint 1 to 2 leaves/);
    expect(await base.act('goTo', { ...south, longitude: 121.4744 })).toEqual({ status: 'acknowledged' });
  });

  it('that is not configured: not armed, and sent nowhere', async () => {
    await using base = await openBase({ options: { fence: [] } });
    await expectRefused(base, 'arm', {}, /fence must be loaded first; it is "none"/);
    await expectRefused(base, 'goTo', middle, /No fence is configured/);
    await expectRefused(base, 'startMission', {}, /mission must be inside first/);
  });

  it('is told of when the base is beyond it', async () => {
    await using base = await openBase({ rover: { at: outside } });
    await eventually(() => base.told.some((each) => each.is === 'event' && each.event === 'leftFence'), 'the event');
    expect(base.reading('insideFence')).toBe(false);
    await expectRefused(base, 'arm', {}, /outside of the fence/);
  });
});

describe('the speed limit', () => {
  it('refuses before a byte what is faster', async () => {
    await using base = await openBase({ options: { speedLimit: 1.2 } });
    await expectRefused(base, 'setSpeed', { speed: 1.3 }, /Wrong arguments/);
    await expectRefused(base, 'goTo', { ...middle, speed: 2 }, /Wrong arguments/);
    await expectRefused(base, 'uploadMission', { waypoints: [middle], speed: 1.21 }, /Wrong arguments/);
    // also past the schema
    expect(await base.opened.peripheral.perform?.('setSpeed', { speed: 9 }, base.signal)).toMatchObject({
      status: 'rejected',
    });
    expect(commandsOf(base)).not.toContain(commands.changeSpeed);
  });

  it('goes with every destination and every mission', async () => {
    await using base = await openBase({ options: { speedLimit: 1.2 } });
    await base.act('goTo', north(1));
    const goTo = base.received.findLast(({ message }) => message.name === 'COMMAND_INT')?.message;
    expect(goTo?.fields).toMatchObject({ command: commands.reposition, param1: Math.fround(1.2) });
    expect(await base.act('uploadMission', { waypoints: [middle, north(2)] })).toEqual({ status: 'acknowledged' });
    expect(base.rover.state['mission']).toMatchObject([
      {},
      { command: commands.changeSpeed, param2: Math.fround(1.2) },
      {},
      {},
    ]);
  });

  it('refuses a mission of somebody else that is faster, or leads out, or does what is not known', async () => {
    await using base = await openBase();
    const place = { frame: 3, param1: 0, param2: 0, param3: 0, param4: 0, x: 312_307_000, y: 1_214_741_000, z: 0 };
    const home = { ...place, command: commands.waypoint };
    for (const bad of [
      { ...place, command: commands.changeSpeed, param2: 3 },
      { ...place, command: commands.waypoint, x: 312_400_000 },
      { ...place, command: 177 },
    ]) {
      base.rover.setMission([home, home, bad]);
      await expectRefused(base, 'startMission', {}, /mission must be inside first; it is "refused"/);
    }
    base.rover.setMission([home, home]);
    expect(await base.act('startMission')).toEqual({ status: 'acknowledged' });
  });
});

describe('a mission', () => {
  it('is loaded, driven to its end, and fetched', async () => {
    await using base = await openBase();
    const waypoints = [north(0.5), north(1), north(1.5)];
    expect(await base.act('uploadMission', { waypoints, speed: 1.5 })).toEqual({ status: 'acknowledged' });
    await base.act('arm');
    expect(await base.act('startMission')).toEqual({ status: 'acknowledged' });
    await expectRefused(base, 'uploadMission', { waypoints: [middle] }, /hold first/);
    const reached = (): readonly unknown[] =>
      base.told.flatMap((each) =>
        each.is === 'event' && each.event === 'waypointReached' ? [each.data['waypoint']] : [],
      );
    await eventually(() => reached().length === 3, 'three waypoints');
    expect(reached()).toEqual([1, 2, 3]);
    await eventually(() => base.reading('mode') === 'hold', 'the end of it');
    const fetched = await base.act('downloadMission');
    expect(fetched).toMatchObject({ status: 'acknowledged', result: { mission: 'inside' } });
    const { result } = fetched as unknown as { result: { waypoints: readonly { latitude: number }[] } };
    expect(result.waypoints).toHaveLength(3);
    for (const [at, { latitude }] of result.waypoints.entries())
      expect(latitude).toBeCloseTo(waypoints[at]?.latitude as number, 6);
  });

  it('is loaded over a line that loses every fourth frame', async () => {
    await using base = await openBase();
    let frames = 0;
    Object.defineProperty(base, 'faults', {
      get: () => ({ silent: (frames += 1) % 4 === 0 }),
    });
    const waypoints = Array.from({ length: 8 }, (_unused, index) => north(index));
    expect(await base.act('uploadMission', { waypoints })).toEqual({ status: 'acknowledged' });
    expect(base.rover.state['mission']).toHaveLength(10);
  });
});

describe('what is in doubt', () => {
  it('is never said twice: an arming without an answer', async () => {
    await using base = await openBase();
    const count = (): number => commandsOf(base).filter((command) => command === commands.arm).length;
    // what it is asked first, it answers; what it is told then, it does not
    base.rover.mute(commands.arm);
    const outcome = await base.act('arm');
    expect(count()).toBe(1);
    // its state tells what its answer did not
    expect(outcome).toEqual({ status: 'acknowledged', result: { shownBy: 'armed' } });
  });

  it('is unknown when nothing tells', async () => {
    await using base = await openBase();
    expect(await base.opened.peripheral.perform?.('arm', {}, base.signal)).toEqual({ status: 'acknowledged' });
    base.faults = { silent: true };
    expect(await base.act('goTo', north(1))).toMatchObject({ status: 'unknown' });
    expect(commandsOf(base).filter((command) => command === commands.reposition)).toHaveLength(1);
  });

  it('waits for a command that is in progress', async () => {
    await using base = await openBase();
    base.rover.takeTime(commands.arm);
    expect(await base.act('arm')).toEqual({ status: 'acknowledged' });
  });
});

it('reports the emergency stop, and has no action that is one', async () => {
  await using base = await openBase();
  await eventually(() => base.reading('motorOutput') === true, 'motors let through');
  base.rover.provoke?.('emergencyStop');
  await eventually(() => base.reading('motorOutput') === false, 'motors cut');
  expect(base.reading('state')).toBe('critical');
  expect(Object.keys(base.opened.manifest.actions).filter((name) => /emergency|stop/i.test(name))).toEqual([]);
});

it('is worked signed, and not by who has another key', async () => {
  const signingKey = 'ab'.repeat(32);
  await using base = await openBase({ options: { signingKey } });
  expect(await base.act('arm')).toEqual({ status: 'acknowledged' });
  expect(base.received.every(({ signature }) => signature !== undefined)).toBe(true);
});

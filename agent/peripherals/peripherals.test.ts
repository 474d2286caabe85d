/** Peripherals on pseudo terminals, through losses, commands without an answer, and restarts. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock as clock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { supervise } from '#agent/core/supervisor.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Reading } from '#agent/domain/reading.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { looseSchema } from '#config/peripheral.ts';
import { type Action, type Driver, type Outcome, sealed } from '#drivers/driver.ts';
import { openPty } from '#drivers/pty.ts';
import { type Faults, simulate, type Simulator } from '#drivers/simulator.ts';
import { driver as template } from '#drivers/template/driver.ts';
import { Doubts } from './doubts.ts';
import { Peripherals } from './peripherals.ts';

const driver = sealed(template);
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-peripherals-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** A device that is plugged in at `folder/device`. */
class Plug implements AsyncDisposable {
  readonly simulator: Simulator<unknown, unknown> = driver.simulator({});
  readonly received: unknown[] = [];
  faults: Faults = {};
  readonly #stop = new AbortController();
  readonly #pty = openPty(clock, join(folder, 'device'));
  readonly #codec = driver.protocol({}).device();
  readonly #playing = simulate(
    {
      simulator: this.simulator,
      codec: this.#codec,
      transport: this.#pty,
      clock,
      random: seededRandom(1),
      faults: () => this.faults,
      onReceive: (message) => this.received.push(message),
    },
    this.#stop.signal,
  );

  async provoke(event: string): Promise<void> {
    for (const message of this.simulator.provoke?.(event) ?? []) await this.#pty.write(this.#codec.encode(message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#pty[Symbol.asyncDispose]();
    await this.#playing;
  }
}

interface Running extends AsyncDisposable {
  readonly peripherals: Peripherals;
  readonly health: Health;
  readonly events: readonly Event[];
  readonly readings: readonly Reading[];
  readonly signal: AbortSignal;
  phase(): string | undefined;
}

async function start(more: object = {}, worked: Driver = driver): Promise<Running> {
  const stop = new AbortController();
  const health = new Health(clock);
  const events: Event[] = [];
  const readings: Reading[] = [];
  const config = looseSchema.parse({
    id: 'switch',
    driver: 'template',
    port: join(folder, 'device'),
    options: { pollEvery: 50 },
    line: { answer: '200ms' },
    ...more,
  });
  const peripherals = new Peripherals({
    peripherals: [config],
    loadDriver: async () => await Promise.resolve(worked),
    doubts: await Doubts.open(join(folder, 'doubts.json'), ['switch']),
    run: 'run',
    clock,
    health,
    log: silentLog,
    emit: (emitted) => events.push(...emitted),
    onReading: (reading) => readings.push(reading),
  });
  const running = supervise(peripherals.services(), { clock, random: () => 0, log: silentLog }, stop.signal);
  return {
    peripherals,
    health,
    events,
    readings,
    signal: stop.signal,
    phase: () => peripherals.views()[0]?.phase,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** One that moves when it is on, and is stopped by `halt`, and at its end. */
const mover: Driver = {
  ...driver,
  manifest(options) {
    const manifest = driver.manifest(options);
    const set = manifest.actions['set'] as Action;
    const halts: Action = { ...set, args: z.strictObject({}), deadlineMs: 1_500, safety: 'stop' };
    return { ...manifest, actions: { set: { ...set, safety: 'motion' }, halt: halts } };
  },
  open(context) {
    const opened = driver.open(context);
    const tell = async (on: unknown, signal: AbortSignal): Promise<Outcome> =>
      (await opened.perform?.('set', { on }, signal)) as Outcome;
    return {
      ...opened,
      perform: async (action, { on }, signal) => await tell(action === 'set' && on, signal),
      close: async (signal) => void (await tell(false, signal)),
    };
  },
};

const isReady = async (running: Running): Promise<void> =>
  void (await eventually(() => running.phase() === 'ready', 'ready'));
const set = async (running: Running, on: boolean) =>
  await running.peripherals.command('switch', 'set', { on }, running.signal);
const halt = async (running: Running) => await running.peripherals.command('switch', 'halt', {}, running.signal);

describeWith('peripherals', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('come up, tell what they measure, and count', async () => {
    await using plug = new Plug();
    await using running = await start();
    await isReady(running);
    await eventually(() => running.readings.length > 20, 'readings');
    const [view] = running.peripherals.views();
    expect(view).toMatchObject({
      id: 'switch',
      identity: { model: 'TEMPLATE-1' },
      connections: 1,
      readings: { on: false, temperature: 21.5 },
      checksumErrors: 0,
      doubt: undefined,
    });
    expect(view?.roundTripMsP99).toBeGreaterThan(0);
    // twenty readings of the same are told once each
    const told = running.events.filter(({ kind }) => kind === 'reading');
    expect(told.map(({ data }) => (data as { property: string }).property).toSorted()).toEqual(['on', 'temperature']);
    expect(told[0]).toMatchObject({ lane: 'telemetry', subject: 'peripheral/switch' });
    expect(plug.received.length).toBeGreaterThan(10);
  });

  it('are lost, and come back under another name', async () => {
    const first = new Plug();
    await using running = await start();
    await isReady(running);
    await first[Symbol.asyncDispose]();
    await eventually(() => running.phase() === 'lost', 'the loss');
    expect(running.health.entries()).toMatchObject([{ code: 'peripheral-down', subject: 'peripheral/switch' }]);
    expect(await set(running, true)).toMatchObject({ status: 'rejected' });
    await using _second = new Plug();
    await isReady(running);
    expect(running.health.entries()).toEqual([]);
    expect(running.peripherals.views()[0]).toMatchObject({ connections: 2 });
    const incidents = running.events.filter(({ kind }) => kind === 'peripheral');
    expect(incidents.map(({ phase }) => phase)).toEqual(['start', 'end']);
    expect(incidents.map(({ data }) => data)).toMatchObject([
      { condition: 'lost', incident: 'run.peripheral.switch.1', driver: 'template' },
      { condition: 'lost', incident: 'run.peripheral.switch.1' },
    ]);
  });

  it('carry commands out, and say what is wrong with one', async () => {
    await using plug = new Plug();
    await using running = await start();
    await isReady(running);
    expect(await set(running, true)).toMatchObject({ status: 'acknowledged' });
    expect(plug.simulator.state).toMatchObject({ on: true });
    const command = async (id: string, action: string, args: object) =>
      await running.peripherals.command(id, action, args, running.signal);
    expect(await command('nobody', 'set', { on: true })).toMatchObject({ status: 'rejected' });
    expect(await command('switch', 'explode', {})).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('set') as string,
    });
    expect(await command('switch', 'set', { on: 'perhaps' })).toMatchObject({ status: 'rejected' });
  });

  it('do nothing more while it is in doubt, also after a restart, until a human has looked', async () => {
    await using plug = new Plug();
    {
      await using running = await start();
      await isReady(running);
      plug.faults = { silent: true };
      expect(await set(running, true)).toMatchObject({ status: 'unknown' });
      plug.faults = {};
      const heard = plug.received.filter((message) => (message as { is: string }).is === 'set').length;
      expect(await set(running, false)).toMatchObject({
        status: 'rejected',
        reason: expect.stringContaining('not known') as string,
      });
      expect(plug.received.filter((message) => (message as { is: string }).is === 'set')).toHaveLength(heard);
      expect(running.health.entries()).toMatchObject([{ code: 'peripheral-doubt', severity: 'critical' }]);
    }
    await using again = await start();
    await isReady(again);
    expect(again.health.entries()).toMatchObject([{ code: 'peripheral-doubt' }]);
    expect(await set(again, false)).toMatchObject({ status: 'rejected' });
    expect(await again.peripherals.resolve('switch')).toBe(true);
    expect(await again.peripherals.resolve('switch')).toBe(false);
    expect(await set(again, false)).toMatchObject({ status: 'acknowledged' });
    expect(again.health.entries()).toEqual([]);
    expect(JSON.parse(await readFile(join(folder, 'doubts.json'), 'utf8'))).toEqual([]);
  });

  it('are in doubt when the agent ends in the middle of a command', async () => {
    await using plug = new Plug();
    const running = await start({ line: { answer: '1h' } });
    await isReady(running);
    plug.faults = { silent: true };
    const heard = plug.received.length;
    const outcome = set(running, true).catch((thrown: unknown) => thrown);
    await eventually(
      () => plug.received.slice(heard).some((message) => (message as { is: string }).is === 'set'),
      'the command on the line',
    );
    await running[Symbol.asyncDispose]();
    await outcome;
    expect((await Doubts.open(join(folder, 'doubts.json'), [])).of('switch')).toMatchObject({ action: 'set' });
  });

  it('stop past all that waits, and call motions off', async () => {
    await using plug = new Plug();
    await using running = await start({}, mover);
    await isReady(running);
    plug.faults = { silent: true };
    const heard = plug.received.length;
    const sets = () =>
      plug.received.slice(heard).flatMap((message) => ((message as { is: string }).is === 'set' ? [message] : []));
    const moving = set(running, true);
    const waiting = set(running, true);
    await eventually(() => sets().length > 0, 'the motion on the line');
    const stopped = halt(running);
    await eventually(() => sets().some((message) => !(message as { on: boolean }).on), 'the stop on the line');
    plug.faults = {};
    expect(await stopped).toMatchObject({ status: 'acknowledged' });
    const calledOff = { status: 'rejected', reason: expect.stringContaining('A stop came') as string };
    expect([await moving, await waiting]).toEqual([calledOff, calledOff]);
    // after the first word of the stop, nothing moves it
    const order = sets().map((message) => (message as { on: boolean }).on);
    expect(order.slice(order.indexOf(false))).not.toContain(true);
    expect(plug.simulator.state).toMatchObject({ on: false });
    expect(running.health.entries()).toEqual([]);
    expect(await set(running, true)).toMatchObject({ status: 'acknowledged' });
  });

  it('stop while they are in doubt, which stays a human’s affair', async () => {
    await using plug = new Plug();
    await using running = await start({}, mover);
    await isReady(running);
    plug.faults = { silent: true };
    expect(await set(running, true)).toMatchObject({ status: 'unknown' });
    plug.faults = {};
    expect(await set(running, true)).toMatchObject({ status: 'rejected' });
    expect(await halt(running)).toMatchObject({ status: 'acknowledged' });
    expect(plug.simulator.state).toMatchObject({ on: false });
    expect(running.health.entries()).toMatchObject([{ code: 'peripheral-doubt' }]);
  });

  it('are in doubt after a stop without an answer, until one is answered', async () => {
    await using plug = new Plug();
    await using running = await start({}, mover);
    await isReady(running);
    plug.faults = { silent: true };
    expect(await halt(running)).toMatchObject({ status: 'unknown' });
    expect(running.health.entries()).toMatchObject([{ code: 'peripheral-doubt' }]);
    plug.faults = {};
    expect(await set(running, true)).toMatchObject({ status: 'rejected' });
    expect(await halt(running)).toMatchObject({ status: 'acknowledged' });
    expect(running.health.entries()).toEqual([]);
    expect(await set(running, true)).toMatchObject({ status: 'acknowledged' });
  });

  it.each([{}, { silent: true }])('are closed in order within a second, with faults %j', async (faults) => {
    await using plug = new Plug();
    const running = await start({}, mover);
    await isReady(running);
    await set(running, true);
    plug.faults = faults;
    const startedMs = clock.monoMs();
    await running[Symbol.asyncDispose]();
    expect(clock.monoMs() - startedMs).toBeLessThan(1_000);
    await eventually(() => plug.simulator.state?.['on'] === false, 'the stop before the end');
  });

  it('are all in doubt when the record of commands cannot be read', async () => {
    await writeFile(join(folder, 'doubts.json'), '[{"half":');
    await using _plug = new Plug();
    await using running = await start();
    await isReady(running);
    expect(await set(running, true)).toMatchObject({ status: 'rejected' });
  });

  it('tell their events on the lane that is asked for, and none that is not', async () => {
    await using plug = new Plug();
    await using running = await start({ events: { button: 'alarm' } });
    await isReady(running);
    await plug.provoke('button');
    const event = await eventually(() => running.events.find(({ kind }) => kind === 'peripheral'), 'the button');
    expect(event).toMatchObject({ lane: 'alarm', data: { condition: 'told', event: 'button', data: { count: 1 } } });
  });

  it('send nothing about a person', async () => {
    const properties = {
      temperature: {
        title: 'T',
        schema: template.manifest({ pollEvery: 50 }).properties['temperature']?.schema as never,
        personal: true,
      },
    };
    const personal: Driver = { ...driver, manifest: (options) => ({ ...driver.manifest(options), properties }) };
    await using _plug = new Plug();
    await using running = await start({}, personal);
    await isReady(running);
    await eventually(() => running.readings.length > 3, 'readings');
    expect(running.events).toEqual([]);
    expect(running.peripherals.views()[0]?.readings).toEqual({});
  });

  it('leave another device of the kind alone', async () => {
    await using _plug = new Plug();
    await using running = await start({ serial: 'B-2' });
    await eventually(() => running.phase() === 'lost', 'the refusal');
    expect(running.peripherals.views()[0]?.error).toContain('serial number none, and not B-2');
    expect(running.readings).toEqual([]);
  });

  it('share no line that is not a bus', async () => {
    await using _plug = new Plug();
    const port = join(folder, 'device');
    const stop = new AbortController();
    const health = new Health(clock);
    const both = ['one', 'two'].map((id) =>
      looseSchema.parse({ id, driver: 'template', port, options: { pollEvery: 50 } }),
    );
    const peripherals = new Peripherals({
      peripherals: both,
      loadDriver: async () => await Promise.resolve(driver),
      doubts: await Doubts.open(join(folder, 'doubts.json'), []),
      run: 'run',
      clock,
      health,
      log: silentLog,
      emit: () => undefined,
    });
    const running = supervise(peripherals.services(), { clock, random: () => 0, log: silentLog }, stop.signal);
    const phases = () => peripherals.views().map(({ phase }) => phase);
    await eventually(() => phases().includes('ready') && phases().includes('lost'), 'one has it, one has not');
    expect(health.entries()).toMatchObject([
      { code: 'peripheral-down', detail: expect.stringContaining('held') as string },
    ]);
    stop.abort();
    await running;
  });
});

/** The end in order: when it begins, what is told to whom, and what happens when nobody obeys. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Reading, ReadingQuality, ReadingValue } from '#agent/domain/reading.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { type ConfigInput, parseConfig } from '#config/load.ts';
import { type Ordered, Power, type PowerOptions } from './power.ts';
import { due, onMains, step } from './watch.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'outpost-power-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const reading = (property: string, value: ReadingValue, monoMs: number, quality: ReadingQuality = 'good'): Reading => ({
  peripheral: 'ups',
  property,
  value,
  quality,
  wallMs: 0,
  monoMs,
});

const configOf = (power: NonNullable<ConfigInput['power']>) =>
  parseConfig({
    peripherals: [{ id: 'ups', driver: 'megatec-ups', port: '/dev/null' }],
    power: { ups: 'ups', ...power },
  }).power;

describe('the watch', () => {
  const config = configOf({ hold: '30s', onBatteryFor: '10m' });
  const after = (...readings: readonly Reading[]) => readings.reduce(step, onMains);

  it('is due once the battery was low for its hold, on battery', () => {
    const state = after(reading('onBattery', true, 0), reading('lowBattery', true, 5_000));
    expect(due(state, config, 34_999)).toBeUndefined();
    expect(due(state, config, 35_000)).toBe('low-battery');
  });

  it('is not due while it charges, nor after a moment without', () => {
    expect(due(after(reading('lowBattery', true, 0)), config, 1e9)).toBeUndefined();
    const broken = after(
      reading('onBattery', true, 0),
      reading('lowBattery', true, 0),
      reading('lowBattery', false, 20_000),
      reading('lowBattery', true, 21_000),
    );
    expect(due(broken, config, 50_000)).toBeUndefined();
    expect(due(broken, config, 51_000)).toBe('low-battery');
  });

  it('is due on battery alone after its time, and never when that is off', () => {
    const state = after(reading('onBattery', true, 0));
    expect(due(state, config, 599_999)).toBeUndefined();
    expect(due(state, config, 600_000)).toBe('on-battery');
    expect(due(state, configOf({}), 1e12)).toBeUndefined();
  });

  it('does not count what is no measurement', () => {
    expect(after(reading('onBattery', true, 0, 'bad'))).toEqual(onMains);
  });
});

interface Rig {
  readonly power: Power;
  readonly clock: ManualClock;
  readonly health: Health;
  readonly events: readonly Event[];
  readonly orders: readonly unknown[];
  readonly ends: readonly true[];
  stop(): Promise<void>;
}

function rigOf(
  input: NonNullable<ConfigInput['power']>,
  more: Partial<PowerOptions> = {},
  outcomes: Ordered[] = [],
): Rig {
  const clock = new ManualClock();
  const health = new Health(clock);
  const [events, orders, ends]: [Event[], unknown[], true[]] = [[], [], []];
  const power = new Power({
    config: configOf(input),
    driver: 'megatec-ups',
    path: join(folder, 'power'),
    clock,
    health,
    log: silentLog,
    emit: (made) => events.push(...made),
    read: async () => await Promise.resolve(false),
    order: async (args) => {
      orders.push(args);
      return await Promise.resolve(outcomes.shift() ?? { status: 'acknowledged' });
    },
    end: () => ends.push(true),
    bootId: async () => await Promise.resolve('this-boot'),
    ...more,
  });
  const stop = new AbortController();
  const running = power.services().map(async (service) => await service.run(stop.signal));
  const fail = (): void => {
    power.onReading(reading('onBattery', true, clock.monoMs()));
    power.onReading(reading('lowBattery', true, clock.monoMs()));
  };
  fail();
  return {
    power,
    clock,
    health,
    events,
    orders,
    ends,
    async stop() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

const told = ({ events }: Rig): unknown[] => events.map(({ data }) => ('event' in data ? data.event : undefined));

/** Files are read and written in between: the clock alone does not wait for them. */
async function until(rig: Rig, condition: () => boolean, what: string): Promise<void> {
  await eventually(async () => {
    await rig.clock.advance(1_000);
    return condition();
  }, what);
}

describe('the sequence', () => {
  it('tells everybody, then the supply, then the agent', async () => {
    const rig = rigOf({ cut: true, delay: '2m', return: '5m' });
    await until(rig, () => rig.ends.length > 0, 'the end');
    expect(rig.clock.monoMs()).toBeGreaterThanOrEqual(30_000);
    expect(rig.orders).toEqual([{ delayMinutes: 2, returnMinutes: 5 }]);
    expect(rig.events).toMatchObject([
      { kind: 'peripheral', lane: 'alarm', data: { event: 'shutdown', data: { reason: 'low-battery' } } },
    ]);
    expect(rig.health.entries().map(({ code }) => code)).toEqual(['power-ending']);
    expect(rig.power.phase).toBe('ending');
    await rig.clock.advance(600_000);
    expect(rig.orders).toHaveLength(1);
    await rig.stop();
  });

  it('is off when no supply is named, and does nothing by itself but an alarm', async () => {
    expect(parseConfig({}).power.ups).toBeUndefined();
    const rig = rigOf({});
    await until(rig, () => rig.events.length > 0, 'the alarm');
    await rig.clock.advance(600_000);
    expect(rig.orders).toEqual([]);
    expect(rig.ends).toEqual([]);
    await rig.stop();
  });

  it('does not begin when the mains are back in time', async () => {
    const rig = rigOf({ cut: true });
    await rig.clock.advance(20_000);
    rig.power.onReading(reading('onBattery', false, rig.clock.monoMs()));
    await rig.clock.advance(600_000);
    expect(rig.events).toEqual([]);
    expect(rig.power.phase).toBe('mains');
    await rig.stop();
  });

  it('tries again when it is refused; the agent ends all the same where the machine is shut down', async () => {
    const refused = { status: 'rejected', reason: 'ups is lost.' };
    const rig = rigOf({ cut: true, command: ['true'] }, {}, [refused, refused, refused]);
    await until(rig, () => rig.ends.length > 0, 'the end');
    expect(rig.orders).toHaveLength(3);
    expect(rig.health.entries().map(({ code }) => code)).toEqual(['power-ending', 'power-unordered']);
    expect(told(rig)).toEqual(['shutdown', 'shutdown-unordered']);
    await rig.stop();
  });

  it('repeats nothing of which nobody knows; without a command the agent goes on', async () => {
    const rig = rigOf({ cut: true }, {}, [{ status: 'unknown', reason: 'no answer' }]);
    await until(rig, () => rig.events.length === 2, 'the alarms');
    await rig.clock.advance(60_000);
    expect(rig.orders).toHaveLength(1);
    expect(rig.ends).toEqual([]);
    rig.power.onReading(reading('onBattery', false, rig.clock.monoMs()));
    expect(rig.health.entries()).toEqual([]);
    await rig.stop();
  });

  it('is not ordered again by an agent that was started again before the cut', async () => {
    const first = rigOf({ cut: true });
    await until(first, () => first.ends.length > 0, 'the end');
    await first.stop();
    const second = rigOf({ cut: true });
    await until(second, () => second.power.phase === 'ordered', 'the memory of the order');
    expect(second.orders).toEqual([]);
    await second.stop();
    const pending = rigOf(
      { cut: true },
      { path: join(folder, 'other'), read: async () => await Promise.resolve(true) },
    );
    await until(pending, () => pending.power.phase === 'ordered', 'the supply’s own word');
    expect(pending.orders).toEqual([]);
    await pending.stop();
  });

  it('is ordered anew after another start of the machine, and after the mains were back', async () => {
    await writeFile(join(folder, 'power'), 'an-earlier-boot');
    const rig = rigOf({ cut: true });
    await until(rig, () => rig.ends.length > 0, 'the end');
    expect(await readFile(join(folder, 'power'), 'utf8')).toBe('this-boot');
    await rig.stop();
    const next = rigOf({ cut: true });
    next.power.onReading(reading('onBattery', false, next.clock.monoMs()));
    await eventually(
      async () => (await readFile(join(folder, 'power'), 'utf8').catch(() => '')) === '',
      'the forgetting',
    );
    next.power.onReading(reading('onBattery', true, next.clock.monoMs()));
    await until(next, () => next.ends.length > 0, 'the end');
    await next.stop();
  });
});

describe('the command', () => {
  it('is run as the last thing, without a shell, and only after the sequence', async () => {
    const script = join(folder, 'halt');
    await writeFile(script, `#!/bin/sh\nprintf '%s\\n' "$@" > '${folder}/ran'\n`, { mode: 0o755 });
    const command = [script, '-h', 'now; touch /x $(id)'];
    const rig = rigOf({ command }, { clock: systemClock, config: configOf({ command, hold: '0s' }) });
    await rig.power.finish();
    expect(await readFile(join(folder, 'ran'), 'utf8').catch(() => 'not run')).toBe('not run');
    await eventually(() => rig.ends.length > 0, 'the end');
    await rig.power.finish();
    expect(await readFile(join(folder, 'ran'), 'utf8')).toBe('-h\nnow; touch /x $(id)\n');
    await rig.stop();
  });

  it('that does not exist, or hangs, is logged and no more', async () => {
    for (const command of [['/no/such/program'], ['sleep', '600']]) {
      const lines: string[] = [];
      const log = {
        ...silentLog,
        error: (sentence: string) => lines.push(sentence),
        warn: () => undefined,
        info: () => undefined,
      };
      const config = { ...configOf({ command, hold: '0s', commandLimit: '200ms' }) };
      const rig = rigOf({ command }, { clock: systemClock, config, log });
      await eventually(() => rig.ends.length > 0, 'the end');
      await rig.power.finish();
      expect(lines).toEqual(['The command that shuts the machine down failed.']);
      await rig.stop();
    }
  });
});

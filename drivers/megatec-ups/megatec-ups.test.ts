/** What every driver has to hold, and what is special to a UPS: guesses, refusals, devices that only know QS. */
import { describe, expect, it } from 'vitest';
import { describeDriver } from '../conformance.ts';
import { openRig, type Rig } from '../conformance/rig.ts';
import { sealed } from '../driver.ts';
import { ChargeEstimate } from './charge.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

const any = sealed(driver);
const rigOf = (options: Readonly<Record<string, unknown>> = {}): Rig => openRig(any, any.options.parse(options));

async function valuesOf(rig: Rig): Promise<ReadonlyMap<string, unknown>> {
  const read = (await rig.opened.peripheral.read?.('load', rig.signal)) ?? [];
  return new Map(read.flatMap((each) => (each.is === 'reading' ? [[each.property, each.value]] : [])));
}

describe('a device that only knows QS', () => {
  it('is found by asking, and asked by it from then on', async () => {
    const options = any.options.parse({ status: 'auto' });
    const onlyQs = { ...any, simulator: () => driver.simulator(driver.options.parse({ status: 'qs' })) as never };
    await using rig = openRig(onlyQs, options);
    expect(await rig.opened.peripheral.identify(rig.signal)).toMatchObject({ model: 'SIM-1000' });
    expect((await valuesOf(rig)).get('load')).toBe(14);
    expect(rig.received.at(-1)).toEqual({ is: 'status', by: 'QS' });
  });
});

describe('orders', () => {
  it('are rejected when the device gives them back', async () => {
    const deaf = {
      ...any,
      simulator: (options: unknown) => {
        const device = driver.simulator(options as never);
        return {
          ...device,
          receive: (message: never) =>
            (message as { is: string }).is === 'shutdown'
              ? [{ is: 'echo', command: 'S02R0003' } as never]
              : device.receive(message),
        } as never;
      },
    };
    await using rig = openRig(deaf, any.options.parse({}));
    const args = { delayMinutes: 2, returnMinutes: 3 };
    expect(await rig.opened.peripheral.perform?.('shutdown', args, rig.signal)).toMatchObject({ status: 'rejected' });
  });

  it('of a device that does not show a shutdown are in doubt, unless it is known not to', async () => {
    const blind = {
      ...any,
      simulator: () => driver.simulator(driver.options.parse({ showsShutdown: false })) as never,
    };
    for (const [showsShutdown, status] of [
      [true, 'unknown'],
      [false, 'acknowledged'],
    ] as const) {
      await using rig = openRig(blind, any.options.parse({ showsShutdown }));
      const outcome = await rig.opened.peripheral.perform?.('shutdown', { delayMinutes: 0.5 }, rig.signal);
      expect(outcome).toMatchObject({ status });
      expect(rig.simulator.state).toMatchObject({ shutdown: { delayMinutes: 0.5, returnMinutes: null } });
    }
  });

  it('are taken back', async () => {
    await using rig = rigOf();
    await rig.opened.peripheral.perform?.('shutdown', { delayMinutes: 2, returnMinutes: 3 }, rig.signal);
    expect(rig.simulator.state).toMatchObject({ shutdown: { delayMinutes: 2, returnMinutes: 3 } });
    expect((await valuesOf(rig)).get('shutdownPending')).toBe(true);
    expect(await rig.opened.peripheral.perform?.('cancelShutdown', {}, rig.signal)).toEqual({ status: 'acknowledged' });
    expect(rig.simulator.state).toMatchObject({ shutdown: null });
  });

  it('set the beeper without a toggle too many', async () => {
    await using rig = rigOf();
    for (const on of [true, false, false, true]) {
      expect(await rig.opened.peripheral.perform?.('setBeeper', { on }, rig.signal)).toEqual({
        status: 'acknowledged',
      });
      expect(rig.simulator.state).toMatchObject({ beeper: on });
    }
    expect(rig.received.filter((each) => (each as { is: string }).is === 'toggle-beeper')).toHaveLength(2);
  });

  it.each([0, 0.1, 0.95, 1.5, 11])('are refused with a delay of %d minutes', (delayMinutes) => {
    const { shutdown } = any.manifest(any.options.parse({})).actions;
    expect(shutdown?.args.safeParse({ delayMinutes }).success).toBe(false);
  });
});

describe('the charge', () => {
  const bounds = { emptyCell: 1.73, fullCell: 2.17 };

  it.each([
    ['of the whole battery', 24.6, 24, 73],
    ['of one cell', 2.05, undefined, 73],
    ['of one block of two', 12.3, 24, 73],
    ['above full', 27.5, 24, 100],
    ['below empty', 19, 24, 0],
  ])('is guessed from the voltage %s', (_what, volts, nominal, percent) => {
    expect(new ChargeEstimate(bounds).percent(volts, nominal)).toBe(percent);
  });

  it('is not guessed when nobody knows the battery', () => {
    expect(new ChargeEstimate(bounds).percent(27.5, undefined)).toBeUndefined();
    expect(new ChargeEstimate(bounds).percent(undefined, 24)).toBeUndefined();
  });

  it('of a battery that dies does not become that of two blocks', () => {
    const estimate = new ChargeEstimate(bounds);
    estimate.percent(27.5, 24);
    expect(estimate.percent(15, 24)).toBe(0);
  });

  it('says that it is a guess', async () => {
    await using rig = rigOf({ batteryNominal: 24 });
    const read = (await rig.opened.peripheral.read?.('charge', rig.signal)) ?? [];
    expect(read).toContainEqual({ is: 'reading', property: 'charge', value: 100, quality: 'uncertain' });
  });
});

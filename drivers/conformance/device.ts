/** What every driver has to hold with its device: what is declared answers, and no fault of the line becomes a deed. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from '#agent/testing/eventually.ts';
import type { Driver, Manifest, Observation, Outcome } from '../driver.ts';
import type { Leniency } from '../conformance.ts';
import { memoryPair } from '../memory-transport.ts';
import { Session } from '../session.ts';
import { clock, openRig, type Rig } from './rig.ts';

export function deviceTests(
  driver: Driver,
  options: unknown,
  { unanswered = {}, undecoded }: Pick<Leniency, 'unanswered' | 'undecoded'>,
): void {
  const manifest = driver.manifest(options);
  const actions = Object.entries(manifest.actions);
  const properties = Object.keys(manifest.properties);
  const answered = (name: string): 'acknowledged' | 'unknown' =>
    Object.hasOwn(unanswered, name) ? 'unknown' : 'acknowledged';
  const perform = async (rig: Rig, action: string, signal = rig.signal): Promise<Outcome> => {
    const { args, example } = manifest.actions[action] as Manifest['actions'][string];
    return (
      (await rig.opened.peripheral.perform?.(action, args.parse(example), signal)) ?? {
        status: 'rejected',
        reason: 'no perform',
      }
    );
  };

  describe('the manifest', () => {
    it('says what is needed of it', () => {
      expect(manifest.name).toBe(driver.name);
      expect(manifest.sources.length).toBeGreaterThan(0);
      expect(properties.length + actions.length).toBeGreaterThan(0);
      for (const { schema, range } of Object.values(manifest.properties)) {
        expect(() => z.toJSONSchema(schema)).not.toThrow();
        if (range) expect(range[0]).toBeLessThan(range[1]);
      }
      for (const { args, deadlineMs } of Object.values(manifest.actions)) {
        expect(() => z.toJSONSchema(args)).not.toThrow();
        expect(deadlineMs).toBeGreaterThan(0);
      }
    });

    it('takes back its own words: an action whose arguments are wrong is refused before the line', () => {
      for (const [, { args, example }] of actions) {
        expect(args.safeParse(example).success).toBe(true);
        expect(args.safeParse({ ...example, surely_not_known: 1 }).success).toBe(false);
      }
    });

    it('repeats nothing that is printed, and nothing without an answer that counts', () => {
      const wrong = actions.filter(
        ([name, { safety, idempotent }]) =>
          (safety === 'print' && idempotent) || (Object.hasOwn(unanswered, name) && !idempotent),
      );
      expect(wrong.map(([name]) => name)).toEqual([]);
    });
  });

  describe('the device', () => {
    it('is identified, and nothing is done to it', async () => {
      await using rig = openRig(driver, options);
      const before = JSON.stringify(rig.simulator.state ?? {});
      const identity = await rig.opened.peripheral.identify(rig.signal);
      expect(identity?.model).toBeTruthy();
      expect(JSON.stringify(rig.simulator.state ?? {})).toBe(before);
    });

    it('is not identified on a line where nobody is, or where nobody understands', async () => {
      await using rig = openRig(driver, options);
      rig.faults = { silent: true };
      expect(await rig.opened.peripheral.identify(rig.signal)).toBeUndefined();
      if (manifest.integrity === 'none') return;
      rig.faults = { garbled: true };
      expect(await rig.opened.peripheral.identify(rig.signal)).toBeUndefined();
    });

    it('tells every property, within its schema and its range', async () => {
      await using rig = openRig(driver, options);
      await ready(rig);
      const seen = await observed(rig, (found) => properties.every((name) => found.has(name)), properties);
      for (const [name, observation] of seen) {
        const property = manifest.properties[name];
        expect(property ?? manifest.events[name], `${name} is declared`).toBeDefined();
        if (observation.is !== 'reading' || !property) continue;
        expect(
          property.schema.safeParse(observation.value).error,
          `${name} = ${JSON.stringify(observation.value)}`,
        ).toBeUndefined();
        if (property.range && typeof observation.value === 'number') {
          expect(observation.value).toBeGreaterThanOrEqual(property.range[0]);
          expect(observation.value).toBeLessThanOrEqual(property.range[1]);
        }
      }
    });

    // nothing is skipped: what a driver does not have is no test
    const itWithEvents = Object.keys(manifest.events).length > 0 ? it : () => undefined;
    itWithEvents('tells every event', async () => {
      await using rig = openRig(driver, options);
      await ready(rig);
      for (const [name, observation] of await provoked(rig, Object.keys(manifest.events))) {
        const schema = manifest.events[name]?.data;
        if (observation.is === 'event' && schema) expect(schema.safeParse(observation.data).error).toBeUndefined();
      }
    });

    it('tells on a recording what is declared', async () => {
      await using rig = openRig(driver, options);
      await ready(rig);
      await provoked(rig, Object.keys(manifest.events), properties);
      const { lines, observations } = decoded(driver, options, rig.recording);
      for (const each of observations) {
        const [name, declared, value] =
          each.is === 'reading'
            ? [each.property, manifest.properties[each.property]?.schema, each.value]
            : [each.event, manifest.events[each.event]?.data, each.data];
        expect(declared?.safeParse(value).success, `${name} = ${JSON.stringify(value)}`).toBe(true);
      }
      if (undecoded === undefined) expect(lines + observations.length).toBeGreaterThan(0);
      else expect(lines + observations.length, undecoded).toBe(0);
    });
  });

  const stops = actions.filter(([, { safety }]) => safety === 'stop');
  const moves = actions.filter(([, { safety }]) => safety === 'motion' || safety === 'alarm');
  const describeStops = stops.length > 0 ? describe : () => undefined;
  describeStops('what ends a motion', () => {
    it.each(stops)('%s is idempotent, and asks for nothing first', (_name, { idempotent, preconditions, args }) => {
      expect([idempotent, preconditions ?? []]).toEqual([true, []]);
      expect(args.safeParse({}).success).toBe(true);
    });

    it.each(stops)('%s is done past a motion that waits for its answer', async (name, stop) => {
      await using rig = openRig(driver, options);
      const session = new Session({ opened: rig.opened, id: 'rig', clock });
      await session.open(rig.signal);
      rig.faults = { silent: true };
      const before = rig.received.length;
      const [move, { example }] = moves[0] ?? [name, stop];
      const outcomes = [session.command(move, example, rig.signal), session.command(move, example, rig.signal)];
      await eventually(() => rig.received.length > before, 'the motion on the line');
      const stopped = session.command(name, {}, rig.signal);
      rig.faults = {};
      expect(await stopped).toMatchObject({ status: 'acknowledged' });
      if (moves.length > 0)
        expect((await Promise.all(outcomes)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      await Promise.all(outcomes);
    });
  });

  const describeActions = actions.length > 0 ? describe : () => undefined;
  describeActions('actions', () => {
    it.each(actions.map(([name]) => name))('%s is acknowledged by the device', async (name) => {
      await using rig = openRig(driver, options);
      await ready(rig);
      const before = rig.received.length;
      expect(await perform(rig, name)).toMatchObject({ status: answered(name) });
      expect(rig.received.length).toBeGreaterThan(before);
    });

    it.each(actions.filter(([, { idempotent }]) => idempotent).map(([name]) => name))(
      '%s twice is once',
      async (name) => {
        await using rig = openRig(driver, options);
        await ready(rig);
        await perform(rig, name);
        const once = JSON.stringify(rig.simulator.state ?? {});
        await perform(rig, name);
        expect(JSON.stringify(rig.simulator.state ?? {})).toBe(once);
      },
    );

    it.each(actions.map(([name]) => name))(
      '%s without an answer is never taken for done, and never for not done',
      async (name) => {
        await using rig = openRig(driver, options);
        await ready(rig);
        rig.faults = { silent: true };
        expect(await perform(rig, name)).toMatchObject({ status: 'unknown' });
        if (manifest.integrity === 'none') return;
        rig.faults = { garbled: true };
        expect((await perform(rig, name)).status).not.toBe('acknowledged');
      },
    );

    it.each(actions.map(([name]) => name))(
      '%s is not acknowledged by a late answer to the one before',
      async (name) => {
        await using rig = openRig(driver, options);
        await ready(rig);
        rig.faults = { slowMs: 310 };
        expect(await perform(rig, name)).toMatchObject({ status: 'unknown' });
        rig.faults = { silent: true };
        expect(await perform(rig, name)).toMatchObject({ status: 'unknown' });
      },
    );

    it.each(actions.map(([name]) => name))('%s works when every answer comes twice', async (name) => {
      await using rig = openRig(driver, options);
      await ready(rig);
      rig.faults = { duplicated: true };
      expect(await perform(rig, name)).toMatchObject({ status: answered(name) });
      expect(await perform(rig, name)).toMatchObject({ status: answered(name) });
    });

    it.each([1, 0.5])('are heard through an echo of %d of what is written', async (echo) => {
      await using rig = openRig(driver, options, { echo: true, line: { answerMs: 2_000 } });
      rig.faults = { echo };
      await ready(rig);
      for (const [name] of actions) expect(await perform(rig, name), name).toMatchObject({ status: answered(name) });
    });

    it('end when they are aborted', async () => {
      await using rig = openRig(driver, options, { line: { answerMs: 600_000 } });
      rig.faults = { silent: true };
      const [name] = actions[0] as (typeof actions)[number];
      const stop = new AbortController();
      const before = rig.received.length;
      const outcome = perform(rig, name, stop.signal).then(
        () => 'ended',
        (thrown: unknown) => (thrown === stop.signal.reason ? 'aborted' : thrown),
      );
      await eventually(() => rig.received.length > before, 'the command on the line');
      stop.abort();
      expect(await outcome).toBe('aborted');
    });

    it('of a connection that is over are refused, and reach no other', async () => {
      await using rig = openRig(driver, options);
      await ready(rig);
      await rig.unplug();
      await eventually(() => !rig.opened.link.isOpen, 'the loss');
      const written = rig.opened.link.bytesWritten;
      for (const [name] of actions) {
        const outcome = await perform(rig, name).catch(() => ({ status: 'refused' }));
        expect(outcome.status, name).not.toBe('acknowledged');
      }
      expect(rig.opened.link.bytesWritten).toBe(written);
    });

    it('in flight when the plug is pulled end as unknown', async () => {
      await using rig = openRig(driver, options, { line: { answerMs: 600_000 } });
      await ready(rig);
      rig.faults = { silent: true };
      const before = rig.received.length;
      const outcome = perform(rig, (actions[0] as (typeof actions)[number])[0]);
      await eventually(() => rig.received.length > before, 'the command on the line');
      await rig.unplug();
      expect(await outcome).toMatchObject({ status: 'unknown' });
    });
  });

  describe('the end', () => {
    it('is the same when it comes twice', async () => {
      const rig = openRig(driver, options);
      await rig[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
      expect(rig.opened.link.isOpen).toBe(false);
      await expect(rig.bus.transport.write(Uint8Array.of(1))).rejects.toMatchObject({ code: 'port-lost' });
    });

    it.each([{}, { silent: true }])('comes to a session within a second, with faults %j', async (faults) => {
      await using rig = openRig(driver, options);
      const session = new Session({ opened: rig.opened, id: 'rig', clock });
      await session.open(rig.signal);
      const stop = new AbortController();
      const running = session.run(stop.signal);
      const [move, declared] = moves[0] ?? [];
      if (move !== undefined) await session.command(move, declared?.example, rig.signal);
      rig.faults = faults;
      const startedMs = clock.monoMs();
      stop.abort();
      await running;
      expect(clock.monoMs() - startedMs).toBeLessThan(1_000);
    });

    it('comes when observing is aborted', async () => {
      await using rig = openRig(driver, options);
      const stop = new AbortController();
      const ended = drain(rig.opened.peripheral.observe(stop.signal));
      await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      await ended;
    });

    it('comes to observing when the plug is pulled', async () => {
      const [host, device] = memoryPair();
      await using rig = openRig(driver, options, { ends: [host, device], line: { answerMs: 2_000 } });
      const ended = drain(rig.opened.peripheral.observe(rig.signal));
      await new Promise((resolve) => setImmediate(resolve));
      device.unplug();
      await ended;
    });
  });
}

/** As the agent does before it says ready. */
export async function ready(rig: Rig): Promise<void> {
  expect(await rig.opened.peripheral.identify(rig.signal)).toBeDefined();
  await rig.opened.peripheral.configure?.(rig.signal);
}

const drain = async (observations: AsyncIterable<Observation>): Promise<void> => {
  try {
    const all = observations[Symbol.asyncIterator]();
    for (let next = await all.next(); !next.done; next = await all.next());
  } catch {
    // how it ends is the driver's affair; that it ends is not
  }
};

function decoded(
  driver: Driver,
  options: unknown,
  recording: readonly Uint8Array[],
): { readonly lines: number; readonly observations: readonly Observation[] } {
  const codec = driver.protocol(options).host();
  const decode = driver.decoder(options);
  const messages = [...codec.push(Buffer.concat(recording)).messages, ...codec.quiet().messages, undefined];
  const told = messages.flatMap((message) => decode(message));
  const observations = told.filter((each): each is Observation => 'is' in each);
  return { lines: told.length - observations.length, observations };
}

/** What is told while the device is made to tell each of the events; until each was told, and what else is wanted. */
async function provoked(
  rig: Rig,
  events: readonly string[],
  besides: readonly string[] = [],
): Promise<ReadonlyMap<string, Observation>> {
  const wanted = [...besides, ...events];
  const told = observed(rig, (found) => wanted.every((name) => found.has(name)), wanted);
  for (const name of events) {
    for (const message of rig.simulator.provoke?.(name) ?? []) await rig.say(message);
  }
  return await told;
}

/** Observes, and asks for what is only told when asked, until `isEnough`. */
async function observed(
  rig: Rig,
  isEnough: (found: ReadonlyMap<string, Observation>) => boolean,
  wanted: readonly string[],
): Promise<ReadonlyMap<string, Observation>> {
  const found = new Map<string, Observation>();
  const take = (observation: Observation): void =>
    void found.set(observation.is === 'reading' ? observation.property : observation.event, observation);
  const stop = new AbortController();
  const watching = (async () => {
    for await (const observation of rig.opened.peripheral.observe(stop.signal)) take(observation);
  })().catch(() => undefined);
  try {
    await eventually(
      async () => {
        if (isEnough(found)) return true;
        const missing = wanted.find((name) => !found.has(name));
        const asked = missing === undefined ? [] : ((await rig.opened.peripheral.read?.(missing, rig.signal)) ?? []);
        for (const observation of asked) take(observation);
        return isEnough(found);
      },
      `${wanted.join(', ')}; so far ${[...found.keys()].join(', ')}`,
      60_000,
    );
  } finally {
    stop.abort();
    await watching;
  }
  return found;
}

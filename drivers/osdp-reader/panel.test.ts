/** One reader and several: repeated, busy, restarted, impersonated, with another key, with none. */
import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Log } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { Bus } from '../bus.ts';
import { clock, openRig, quickLine, type Rig } from '../conformance/rig.ts';
import { type Observation, sealed } from '../driver.ts';
import { memoryPair } from '../memory-transport.ts';
import { openPeripheral } from '../open.ts';
import { simulate, type Simulator } from '../simulator.ts';
import { authenticatedBytes, deviceCodec, type Frame } from './codec.ts';
import { driver } from './driver.ts';
import { manifest, options, type Options } from './manifest.ts';
import { commandCodes, readReply, replyCodes } from './messages.ts';
import { clientCryptogram, initialMac, serverCryptogram, type SessionKeys, sessionKeys } from './secure-channel.ts';
import { shown } from './shown.ts';
import { osdpSimulator, simulatedCard, simulatedKeys } from './simulator.ts';

const [key, otherKey] = ['00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100'];
const secure = options.parse({ key, pollEvery: 20 });

/** A rig whose reader is another one than the configured, or behaves in its own way. */
const rigOf = (configured: Options, make: () => Simulator<Frame, Frame>): Rig =>
  openRig(sealed({ ...driver, simulator: make }), configured);

const ready = async ({ opened, signal }: Rig): Promise<void> => {
  expect(await opened.peripheral.identify(signal)).toBeDefined();
  await opened.peripheral.configure?.(signal);
};
const frames = (rig: Rig): readonly Frame[] => rig.received as readonly Frame[];
const perform = async (rig: Rig, action: string, args: object) =>
  await rig.opened.peripheral.perform?.(
    action,
    rig.opened.manifest.actions[action]?.args.parse(args) ?? {},
    rig.signal,
  );

/** Everything that is observed, until the test is over. */
function observe({ opened, signal }: Pick<Rig, 'opened' | 'signal'>): {
  readonly seen: Observation[];
  error?: unknown;
} {
  const watched: { readonly seen: Observation[]; error?: unknown } = { seen: [] };
  void (async () => {
    for await (const observation of opened.peripheral.observe(signal)) watched.seen.push(observation);
  })().catch((thrown: unknown) => (watched.error = thrown));
  return watched;
}

const cardsIn = (seen: readonly Observation[]): readonly Observation[] =>
  seen.filter((each) => each.is === 'event' && each.event === 'card');

describe('a reader', () => {
  it('tells a card with its bits, and keys', async () => {
    await using rig = openRig(sealed(driver), secure);
    await ready(rig);
    const { seen } = observe(rig);
    for (const event of ['card', 'keys']) rig.simulator.provoke?.(event);
    await eventually(() => seen.filter(({ is }) => is === 'event').length === 2, 'both');
    expect(seen.filter(({ is }) => is === 'event')).toEqual([
      {
        is: 'event',
        event: 'card',
        data: { reader: 0, bits: 26, hex: '95181cc0', ...simulatedCard, parity: 'right' },
      },
      { is: 'event', event: 'keys', data: { reader: 0, keys: simulatedKeys } },
    ]);
  });

  it('whose reply was lost is told the same again, and does it once', async () => {
    let lost = 0;
    await using rig = rigOf(secure, () => {
      const reader = osdpSimulator(secure);
      return {
        ...pass(reader),
        receive: (command) => {
          const replies = reader.receive(command);
          if (command.code !== commandCodes.buzzer || lost === 2) return replies;
          lost += 1;
          return [];
        },
      };
    });
    await ready(rig);
    expect(await perform(rig, 'buzzer', { times: 2 })).toEqual({ status: 'acknowledged' });
    const said = frames(rig).filter(({ code }) => code === commandCodes.buzzer);
    expect(said).toHaveLength(3);
    expect(said[1]).toEqual(said[0]);
    expect(rig.simulator.state).toMatchObject({ beeps: 2 });
  });

  it('that is busy is waited for', async () => {
    let busy = 0;
    await using rig = rigOf(secure, () => {
      const reader = osdpSimulator(secure);
      return {
        ...pass(reader),
        receive: (command) => {
          if (command.code !== commandCodes.led || busy === 3) return reader.receive(command);
          busy += 1;
          const { address, check } = command;
          return [{ address, reply: true, sequence: 0, check, code: replyCodes.busy, payload: new Uint8Array(0) }];
        },
      };
    });
    await ready(rig);
    expect(await perform(rig, 'led', { color: 'red' })).toEqual({ status: 'acknowledged' });
    expect(rig.simulator.state).toMatchObject({ led: 'red' });
  });

  it('that was switched off and on gets a new channel, and its cards are told', async () => {
    let reader = osdpSimulator(secure);
    await using rig = rigOf(secure, () => ({
      receive: (command) => reader.receive(command),
      provoke: (event) => reader.provoke?.(event) ?? [],
    }));
    await ready(rig);
    const { seen } = observe(rig);
    await eventually(() => seen.length > 0, 'the channel');
    reader = osdpSimulator(secure);
    rig.simulator.provoke?.('card');
    await eventually(() => cardsIn(seen).length === 1, 'the card');
    expect(frames(rig).filter(({ code }) => code === commandCodes.challenge).length).toBeGreaterThan(1);
  });

  it('counts 0, 1, 2, 3, 1 …', async () => {
    const clear = options.parse({ channel: 'clear', check: 'checksum', pollEvery: 20 });
    await using rig = openRig(sealed(driver), clear);
    await ready(rig);
    observe(rig);
    await eventually(() => frames(rig).length > 8, 'polls');
    const numbers = frames(rig).map(({ sequence }) => sequence);
    expect(numbers.slice(0, 8)).toEqual([0, 1, 2, 3, 1, 2, 3, 1]);
    expect(frames(rig).every(({ check }) => check === 'checksum')).toBe(true);
  });

  it('that hears something else than was said leaves the channel, and nothing is taken for done', async () => {
    await using rig = rigOf(secure, () => {
      const reader = osdpSimulator(secure);
      return {
        ...pass(reader),
        // a changed code, its check value right, its MAC wrong
        receive: (command) => reader.receive(command.code === commandCodes.text ? { ...command, code: 0x7f } : command),
      };
    });
    await ready(rig);
    expect(await perform(rig, 'text', { text: 'x' })).toMatchObject({ status: 'unknown' });
    expect(await perform(rig, 'led', { color: 'blue' })).toEqual({ status: 'acknowledged' });
  });
});

describe('a refusal', () => {
  it('is told with its reason', async () => {
    const clear = options.parse({ channel: 'clear' });
    await using rig = rigOf(clear, () => {
      const reader = osdpSimulator(clear);
      return {
        ...pass(reader),
        receive: (command) => reader.receive(command.code === commandCodes.text ? { ...command, code: 0x7f } : command),
      };
    });
    await ready(rig);
    expect(await perform(rig, 'text', { text: 'x' })).toEqual({
      status: 'rejected',
      reason: 'The reader refuses: it does not know the command.',
    });
  });
});

describe('a secure channel', () => {
  const harmless: ReadonlySet<number> = new Set([
    commandCodes.id,
    commandCodes.capabilities,
    commandCodes.challenge,
    commandCodes.serverCryptogram,
  ]);

  it.each([
    ['another key', options.parse({ key: otherKey })],
    ['no key but the default one', options.parse({ channel: 'installation' })],
    ['no channel', options.parse({ channel: 'clear' })],
  ])('is not replaced by anything at a reader with %s', async (_what, actual) => {
    await using rig = rigOf(secure, () => osdpSimulator(actual));
    expect(await rig.opened.peripheral.identify(rig.signal)).toBeDefined();
    await expect(rig.opened.peripheral.configure?.(rig.signal)).rejects.toMatchObject({ code: 'reader-channel' });
    const watched = observe(rig);
    await eventually(() => watched.error !== undefined, 'the end');
    expect(watched).toMatchObject({ seen: [], error: { code: 'reader-channel' } });
    expect(await perform(rig, 'led', { color: 'green' })).toMatchObject({ status: 'unknown' });
    const heard = frames(rig);
    expect(heard.filter(({ code }) => !harmless.has(code))).toEqual([]);
    // never the default key
    expect(heard.filter(({ security }) => security && security.data[0] !== 1)).toEqual([]);
  });

  it('believes nobody else on the line, and nothing twice', async () => {
    await using rig = rigOf(secure, () => osdpSimulator(secure));
    await ready(rig);
    const { seen } = observe(rig);
    await eventually(() => seen.length > 0, 'the channel');
    const forged = (sequence: number): Frame => ({
      address: 0,
      reply: true,
      sequence,
      check: 'crc',
      code: replyCodes.raw,
      payload: Uint8Array.of(0, 1, 26, 0, 1, 2, 3, 4),
    });
    const sealedByNobody = (sequence: number): Frame => ({
      ...forged(sequence),
      security: { type: 0x16, data: new Uint8Array(0) },
      mac: Uint8Array.of(1, 2, 3, 4),
    });
    const before = frames(rig).length;
    while (frames(rig).length < before + 12) {
      for (const sequence of [1, 2, 3]) {
        await rig.say(forged(sequence));
        await rig.say(sealedByNobody(sequence));
      }
      await clock.sleep(5);
    }
    expect(cardsIn(seen)).toEqual([]);
    rig.simulator.provoke?.('card');
    await eventually(() => cardsIn(seen).length > 0, 'the card');
    expect(cardsIn(seen)).toHaveLength(1);
  });

  it('encrypts cards, keys and commands', async () => {
    const [host, device] = memoryPair();
    const heard: Buffer[] = [];
    const attach = host.attach.bind(host);
    host.attach = (listener) =>
      attach({ ...listener, onBytes: (data) => (heard.push(Buffer.from(data)), listener.onBytes(data)) });
    await using rig = openRig(sealed(driver), secure, { ends: [host, device] });
    await ready(rig);
    const { seen } = observe(rig);
    for (const event of ['card', 'keys']) rig.simulator.provoke?.(event);
    await eventually(() => seen.filter(({ is }) => is === 'event').length === 2, 'both');
    const line = Buffer.concat(heard);
    expect(line.length).toBeGreaterThan(100);
    expect(line.includes(Buffer.from('95181cc0', 'hex'))).toBe(false);
    expect(line.includes(Buffer.from(simulatedKeys.replace('#', '\r')))).toBe(false);
  });

  it('that signs its cards and does not encrypt them is none', async () => {
    await using rig = rigOf(secure, signingReader);
    const watched = observe(rig);
    await eventually(() => watched.error !== undefined, 'the end');
    expect(watched.error).toMatchObject({
      code: 'reader-channel',
      message: 'The reader tells cards and keys without encryption.',
    });
    expect(cardsIn(watched.seen)).toEqual([]);
  });

  it('is wanted by a reader that is spoken to in the clear: said, and nothing else done', async () => {
    await using rig = rigOf(options.parse({ channel: 'clear' }), () => osdpSimulator(secure));
    await rig.opened.peripheral.identify(rig.signal);
    const watched = observe(rig);
    await eventually(() => watched.error !== undefined, 'the end');
    expect(watched.error).toMatchObject({ code: 'reader-channel' });
  });
});

describe('installation', () => {
  it('is said aloud, gives the key of the configuration, and is over', async () => {
    const installing = options.parse({ channel: 'installation', key, pollEvery: 20 });
    const reader = osdpSimulator(installing);
    const warnings: string[] = [];
    const log: Log = {
      debug() {},
      info() {},
      warn: (sentence) => void warnings.push(sentence),
      error() {},
      with: () => log,
    };
    const [host, device] = memoryPair();
    const stop = new AbortController();
    const playing = simulate(
      { simulator: reader, codec: deviceCodec(), transport: device, clock, random: seededRandom(1) },
      stop.signal,
    );
    const bus = new Bus(host, clock);
    const open = (configured: Options) =>
      openPeripheral({ driver: sealed(driver), options: configured, bus, clock, log, line: quickLine });
    {
      using opened = open(installing);
      await opened.peripheral.identify(stop.signal);
      await opened.peripheral.configure?.(stop.signal);
      expect(warnings).toEqual([expect.stringContaining('default key')]);
      const channel = async () => (await opened.peripheral.read?.('channel', stop.signal))?.at(-1);
      expect(await channel()).toEqual({
        is: 'reading',
        property: 'channel',
        value: 'installation',
        quality: 'uncertain',
      });
      expect(await opened.peripheral.perform?.('installKey', {}, stop.signal)).toEqual({ status: 'acknowledged' });
      expect(await channel()).toEqual({ is: 'reading', property: 'channel', value: 'secure' });
    }
    using after = open(secure);
    await after.peripheral.identify(stop.signal);
    await after.peripheral.configure?.(stop.signal);
    expect(warnings).toHaveLength(1);
    using stranger = open(options.parse({ channel: 'installation' }));
    await stranger.peripheral.identify(stop.signal);
    await expect(stranger.peripheral.configure?.(stop.signal)).rejects.toMatchObject({ code: 'reader-channel' });
    stop.abort();
    await host[Symbol.asyncDispose]();
    await playing;
  });

  it('has no key to give without one, and gives none where it is not asked for', () => {
    const actions = (written: object): readonly string[] => Object.keys(manifest(options.parse(written)).actions);
    expect(actions({ channel: 'installation' })).not.toContain('installKey');
    expect(actions({ key })).not.toContain('installKey');
    expect(actions({ channel: 'installation', key })).toContain('installKey');
  });
});

describe('several readers on one line', () => {
  it('have their own keys, numbers and cards', async () => {
    const configured = [1, 2, 3].map((address) =>
      options.parse({ address, key: key.replace('00', `0${address}`), pollEvery: 20 }),
    );
    const readers = configured.map((each) => osdpSimulator(each));
    const [host, device] = memoryPair();
    const stop = new AbortController();
    const all: Simulator<Frame, Frame> = { receive: (command) => readers.flatMap((reader) => reader.receive(command)) };
    const playing = simulate(
      { simulator: all, codec: deviceCodec(), transport: device, clock, random: seededRandom(1) },
      stop.signal,
    );
    const bus = new Bus(host, clock);
    const opened = configured.map((each) =>
      openPeripheral({ driver: sealed(driver), options: each, bus, clock, log: silent, line: quickLine }),
    );
    const watched = opened.map((each) => observe({ opened: each, signal: stop.signal }));
    readers[1]?.provoke?.('card');
    readers[2]?.provoke?.('keys');
    await eventually(() => watched[1] && cardsIn(watched[1].seen).length === 1, 'the card of the second');
    await eventually(() => watched[2]?.seen.some((each) => each.is === 'event' && each.event === 'keys'), 'keys');
    expect(watched.map(({ seen }) => seen.filter(({ is }) => is === 'event').length)).toEqual([0, 1, 1]);
    expect(watched.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    stop.abort();
    for (const each of opened) each[Symbol.dispose]();
    await host[Symbol.asyncDispose]();
    await playing;
  });
});

describe('a reply', () => {
  it('of any bytes is read, or is none', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.uint8Array({ maxLength: 200 }), (code, payload) => {
        readReply({ code, payload });
      }),
      { seed: 20_261_126, numRuns: 2_000 },
    );
  });

  it.each([
    ['no bits at all', replyCodes.raw, [0, 0, 0, 0], { reader: 0, bits: 0, hex: '' }],
    ['37 bits', replyCodes.raw, [1, 0, 37, 0, 1, 2, 3, 4, 0x80], { reader: 1, bits: 37, hex: '0102030480' }],
    [
      'characters',
      replyCodes.formatted,
      [0, 0, 3, 0x31, 0x32, 0x33],
      { reader: 0, bits: 24, hex: '313233', text: '123' },
    ],
    ['26 bits with a wrong parity', replyCodes.raw, [0, 1, 26, 0, 0x15, 0x18, 0x1c, 0xc0], { parity: 'wrong' }],
  ])('with %s is a card', (_what, code, payload, card) => {
    expect(readReply({ code, payload: Uint8Array.from(payload) })).toMatchObject({ is: 'card', card });
  });

  it.each([
    ['more bits than bytes', replyCodes.raw, [0, 0, 37, 0, 1, 2]],
    ['more keys than it says', replyCodes.keypad, [0, 4, 0x31]],
    ['half an identity', replyCodes.identity, [1, 2, 3]],
    ['no reason', replyCodes.nak, []],
  ])('with %s is none', (_what, code, payload) => {
    expect(readReply({ code, payload: Uint8Array.from(payload) })).toBeUndefined();
  });
});

describe('the options', () => {
  it.each([
    ['a channel without a key', {}, /key/],
    ['a key that is too short', { key: '0011' }, /32/],
    ['the default key as the reader’s own', { key: '303132333435363738393a3b3c3d3e3f' }, /default key/],
    ['a key and no channel', { channel: 'clear', key }, /clear/],
    ['an address that is everybody’s', { key, address: 127 }, /126/],
  ])('refuse %s', (_what, written, why) => {
    expect(options.safeParse(written).error?.message).toMatch(why);
  });
});

describe('what is about a person', () => {
  it('is marked', () => {
    const { events } = manifest(secure);
    expect(events['card']?.personal).toBe(true);
    expect(events['keys']?.personal).toBe(true);
  });

  it('is not shown', () => {
    const frame = { address: 0, reply: true, sequence: 1, check: 'crc', payload: Uint8Array.of(0xca, 0xfe) } as const;
    for (const code of [replyCodes.raw, replyCodes.formatted, replyCodes.keypad, 0x57, 0x80])
      expect(JSON.stringify(shown({ ...frame, code }))).not.toContain('cafe');
    expect(JSON.stringify(shown({ ...frame, code: replyCodes.nak }))).toContain('cafe');
  });
});

/** Proves its key, answers the first two questions, and tells a card under SCS_16; its MAC is reckoned here. */
function signingReader(): Simulator<Frame, Frame> {
  let keys = sessionKeys(new Uint8Array(16), new Uint8Array(8));
  let server = new Uint8Array(16);
  let lastMac = new Uint8Array(16);
  const sign = (frame: Frame): Frame => {
    lastMac = macOf(frame, keys, lastMac);
    return { ...frame, mac: lastMac.slice(0, 4) };
  };
  return {
    receive: (command) => {
      const { address, sequence, check, code, payload } = command;
      const say = (reply: number, data: Uint8Array, type: number, block = new Uint8Array(0)): Frame => ({
        address,
        reply: true,
        sequence,
        check,
        security: { type, data: block },
        code: reply,
        payload: data,
      });
      if (code === commandCodes.challenge) {
        const rndB = Uint8Array.from({ length: 8 }, (_unused, at) => at);
        keys = sessionKeys(Buffer.from(key, 'hex'), payload);
        server = Uint8Array.from(serverCryptogram(keys, payload, rndB));
        const proof = Buffer.concat([new Uint8Array(8), rndB, clientCryptogram(keys, payload, rndB)]);
        return [say(replyCodes.clientCryptogram, Uint8Array.from(proof), 0x12, Uint8Array.of(1))];
      }
      if (code === commandCodes.serverCryptogram) {
        expect(payload).toEqual(server);
        lastMac = Uint8Array.from(initialMac(keys, server));
        return [say(replyCodes.initialMac, lastMac, 0x14, Uint8Array.of(1))];
      }
      const expected = macOf(command, keys, lastMac);
      expect(command.mac).toEqual(expected.slice(0, 4));
      lastMac = expected;
      const isPoll = code === commandCodes.poll;
      return [
        sign(
          isPoll
            ? say(replyCodes.raw, Uint8Array.of(0, 1, 26, 0, 1, 2, 3, 4), 0x16)
            : say(replyCodes.ack, new Uint8Array(0), 0x16),
        ),
      ];
    },
  };
}

/** Block by block, as the standard draws it. */
function macOf(frame: Frame, { mac1, mac2 }: SessionKeys, before: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = [...authenticatedBytes(frame)];
  if (bytes.length % 16 !== 0) bytes.push(0x80);
  while (bytes.length % 16 !== 0) bytes.push(0);
  let mac = Uint8Array.from(before);
  for (let at = 0; at < bytes.length; at += 16) {
    const block = mac.map((byte, place) => byte ^ (bytes[at + place] as number));
    const cipher = createCipheriv('aes-128-ecb', at + 16 === bytes.length ? mac2 : mac1, null).setAutoPadding(false);
    mac = Uint8Array.from(Buffer.concat([cipher.update(block), cipher.final()]));
  }
  return mac;
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent };

/** Members of a class are not copied by a spread. */
const pass = (reader: Simulator<Frame, Frame>): Omit<Simulator<Frame, Frame>, 'receive'> => ({
  provoke: (event) => reader.provoke?.(event) ?? [],
  ...(reader.state ? { state: reader.state } : {}),
});

/** node-mavlink, an independent writer and reader of the same definitions, in development alone. */
import fc from 'fast-check';
import {
  ardupilotmega,
  common,
  minimal,
  type MavLinkData,
  MavLinkPacketSignature,
  MavLinkProtocolV2,
  standard,
} from 'node-mavlink';
import { describe, expect, it } from 'vitest';
import { mavlinkCodec, type Packet } from './codec.ts';
import { crcExtras } from './crc-extras.ts';
import { type Layout, layouts, type Message, type Place } from './definitions.ts';

const runs = { seed: 20_261_126, numRuns: 100 };

interface MessageClass {
  new (): MavLinkData;
  readonly MSG_ID: number;
  readonly MSG_NAME: string;
  readonly MAGIC_NUMBER: number;
  readonly PAYLOAD_LENGTH: number;
  readonly FIELDS: readonly { readonly source: string; readonly name: string; readonly offset: number }[];
}

const classes = [minimal, standard, common, ardupilotmega].flatMap((dialect) =>
  Object.values(dialect as object).filter(
    (each): each is MessageClass => typeof each === 'function' && 'MSG_ID' in each && 'FIELDS' in each,
  ),
);
const classOf = ({ id }: Layout): MessageClass => classes.find(({ MSG_ID }) => MSG_ID === id) as MessageClass;

/** Their commands have the parameters under another name in their base class. */
const theirName = (theirs: MessageClass, { name }: Place): string =>
  theirs.FIELDS.find(({ source }) => source === name)?.name ?? name;

function values(place: Place): fc.Arbitrary<unknown> {
  const one = scalar(place);
  if (place.type === 'char')
    return fc.string({ unit: fc.constantFrom('A', 'B', 'x', 'y', '_', '0', '9'), maxLength: place.length ?? 1 });
  return place.length === undefined ? one : fc.array(one, { minLength: place.length, maxLength: place.length });
}

function scalar({ type }: Place): fc.Arbitrary<unknown> {
  switch (type) {
    case 'uint8_t':
      return fc.integer({ min: 0, max: 0xff });
    case 'int8_t':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 'uint16_t':
      return fc.integer({ min: 0, max: 0xffff });
    case 'int16_t':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'uint32_t':
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case 'int32_t':
      return fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
    case 'uint64_t':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => value.toString(16).padStart(16, '0'));
    case 'float':
      return fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    case 'char':
      return fc.constant('');
  }
}

const fieldsOf = (layout: Layout): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(layout.places.map((place) => [place.name, values(place)])));

const theirs = (place: Place, value: unknown): unknown =>
  place.type === 'uint64_t' ? BigInt(`0x${value as string}`) : value;

describe.each(layouts.map((layout) => [layout.name, layout] as const))('%s', (name, layout) => {
  const peer = classOf(layout);

  it('has the layout and CRC_EXTRA that the peer has', () => {
    expect(peer.MSG_NAME).toBe(name);
    expect(layout.crcExtra).toBe(peer.MAGIC_NUMBER);
    expect(layout.bytes).toBe(peer.PAYLOAD_LENGTH);
    expect(layout.places.map(({ name: field, offset }) => [field, offset])).toEqual(
      peer.FIELDS.map(({ source, offset }) => [source, offset]),
    );
  });

  it('is read as the peer writes it, and written as the peer writes it', () => {
    const protocol = new MavLinkProtocolV2(3, 4);
    fc.assert(
      fc.property(fieldsOf(layout), fc.nat(255), (fields, sequence) => {
        const message = new peer();
        for (const place of layout.places)
          Object.assign(message, { [theirName(peer, place)]: theirs(place, fields[place.name]) });
        const bytes = Uint8Array.from(protocol.serialize(message, sequence));
        const packet: Packet = { sequence, system: 3, component: 4, message: { name, fields } as unknown as Message };
        expect(mavlinkCodec().push(bytes)).toEqual({ messages: [packet], rejected: [] });
        // of zeros alone the peer leaves nothing, where the guide leaves the first byte
        if (bytes[1] === 0) return;
        expect(Buffer.from(mavlinkCodec().encode(packet)).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
      }),
      runs,
    );
  });
});

describe('CRC_EXTRA', () => {
  it('of every message of the dialect is as the peer has it', () => {
    expect(classes.length).toBeGreaterThan(250);
    for (const { MSG_ID, MSG_NAME, MAGIC_NUMBER } of classes)
      expect(crcExtras.get(MSG_ID), MSG_NAME).toBe(MAGIC_NUMBER);
  });
});

describe('signatures', () => {
  const key = Buffer.from('0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 'hex');
  const start = Date.UTC(2026, 0, 1);
  const signed = (atMs: number, sequence = 1): Buffer => {
    const protocol = new MavLinkProtocolV2(1, 1, MavLinkProtocolV2.IFLAG_SIGNED);
    const message = Object.assign(new minimal.Heartbeat(), {
      type: 10,
      autopilot: 3,
      baseMode: 129,
      mavlinkVersion: 3,
    });
    return protocol.sign(protocol.serialize(message, sequence), 5, key, atMs);
  };

  it('of the peer are believed once, and in their order', () => {
    const codec = mavlinkCodec(key);
    expect(codec.push(signed(start)).messages).toHaveLength(1);
    expect(codec.push(signed(start)).messages).toEqual([]);
    expect(codec.push(signed(start - 1_000)).messages).toEqual([]);
    expect(codec.push(signed(start + 1)).messages).toHaveLength(1);
  });

  it('of another key, and none at all, are not believed', () => {
    const other = mavlinkCodec(Buffer.alloc(32, 7));
    expect(other.push(signed(start)).messages).toEqual([]);
    const plain = new MavLinkProtocolV2(1, 1).serialize(new minimal.Heartbeat(), 1);
    expect(mavlinkCodec(key).push(plain).messages).toEqual([]);
    expect(mavlinkCodec().push(plain).messages).toHaveLength(1);
  });

  it('do not survive a flipped bit anywhere', () => {
    const bytes = signed(start);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const codec = mavlinkCodec(key);
      expect([...codec.push(flipped).messages, ...codec.quiet().messages], `bit ${bit}`).toEqual([]);
    }
  });

  it('of ours are believed by the peer', () => {
    const { messages } = mavlinkCodec(key).push(signed(start));
    const [packet] = messages as [Packet];
    const bytes = Buffer.from(mavlinkCodec(key).encode({ ...packet, signature: { link: 9, time: 123_456_789_012 } }));
    const signature = new MavLinkPacketSignature(bytes);
    expect(signature.matches(key)).toBe(true);
    expect([signature.linkId, signature.timestamp]).toEqual([9, 123_456_789_012]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newKey, signerOf, trustedKeys } from '#agent/trust/keys.ts';
import { type Ack, ackLimits, encodeAck, type LaneAck, parseAck, type ReceivedAck, type SeqRange } from './ack.ts';
import { type Lane, lanes } from './lane.ts';

const key = newKey();
const signer = signerOf(key.privatePem);
const believes = trustedKeys([key.publicBase64]);

const ackOf = (lane: LaneAck, epoch = '8f3c', device = 'robot-07'): Ack => ({
  device,
  epochs: new Map([[epoch, new Map<Lane, LaneAck>([['event', lane]])]]),
});

const received = (payload: Uint8Array, device = 'robot-07'): ReceivedAck => {
  const parsed = parseAck(payload, device);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
};
const isBelieved = ({ signed, signature }: ReceivedAck): boolean => believes(signed, signature);
const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const message = (payload: Uint8Array): Record<string, unknown> =>
  JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;

/** Ranges below `upto`, ascending and apart. */
const laneAck: fc.Arbitrary<LaneAck> = fc
  .uniqueArray(fc.integer({ min: 1, max: 2 ** 40 - 2 }), { maxLength: 12 })
  .chain((numbers) => {
    const ends = numbers.toSorted((a, b) => a - b);
    const missing: SeqRange[] = [];
    for (let at = 0; at + 1 < ends.length; at += 2) missing.push([ends[at] ?? 1, ends[at + 1] ?? 1]);
    const least = (missing.at(-1)?.[1] ?? -1) + 1;
    return fc.integer({ min: least, max: ackLimits.seq }).map((upto) => ({ upto, missing }));
  });
const anyAck: fc.Arbitrary<Ack> = fc
  .dictionary(
    fc.uint8Array({ minLength: 1, maxLength: 16 }).map((epoch) => Buffer.from(epoch).toString('hex')),
    fc.dictionary(fc.constantFrom(...lanes), laneAck),
    { maxKeys: 4, noNullPrototype: true },
  )
  .map((epochs) => ({
    device: 'robot-07',
    epochs: new Map(
      Object.entries(epochs).map(([epoch, byLane]) => [epoch, new Map(Object.entries(byLane) as [Lane, LaneAck][])]),
    ),
  }));

describe('an acknowledgement', () => {
  it('reads back as it was written, and its signature holds', () => {
    fc.assert(
      fc.property(anyAck, (ack) => {
        const parsed = received(encodeAck(ack, signer.sign));
        expect(parsed.ack).toEqual(ack);
        expect(isBelieved(parsed)).toBe(true);
      }),
    );
  });

  it('is worth nothing after any one byte has changed', () => {
    const payload = encodeAck(ackOf({ upto: 1042, missing: [[990, 991]] }), signer.sign);
    fc.assert(
      fc.property(fc.nat(payload.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(payload);
        changed[at] = (changed[at] ?? 0) ^ flip;
        const parsed = parseAck(changed, 'robot-07');
        if (typeof parsed === 'string') return;
        // The only freedom: bits of base64url that decode to the same signature.
        if (isBelieved(parsed)) expect(parsed.ack).toEqual(received(payload).ack);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same signed text however it is spelled', () => {
    const payload = encodeAck(ackOf({ upto: 1042, missing: [[990, 991]] }), signer.sign);
    const { sig, epochs } = message(payload);
    expect(isBelieved(received(bytes({ sig, epochs })))).toBe(true);
    expect(isBelieved(received(bytes(JSON.stringify({ sig, epochs, device: 'robot-07' }, undefined, 4))))).toBe(true);
    expect(Buffer.from(received(payload).signed).toString()).toBe(
      'outpost-ack/1\n{"device":"robot-07","epochs":{"8f3c":{"event":{"missing":[["990","991"]],"upto":"1042"}}}}',
    );
  });

  it('covers members that are not known yet', () => {
    const later = { epochs: { '8f3c': { event: { upto: '7' } } }, note: { b: 1.5, a: [true, null, 'ä'] } };
    const text = `outpost-ack/1\n{"device":"robot-07","epochs":{"8f3c":{"event":{"upto":"7"}}},"note":{"a":[true,null,"ä"],"b":1.5}}`;
    const sig = signer.sign(Buffer.from(text));
    expect(isBelieved(received(bytes({ ...later, sig })))).toBe(true);
    expect(isBelieved(received(bytes({ ...later, note: 2, sig })))).toBe(false);
  });

  it('for one device is nothing to another', () => {
    const payload = encodeAck(ackOf({ upto: 5, missing: [] }), signer.sign);
    expect(parseAck(payload, 'robot-08')).toBe('other-device');
    const { device: _named, ...nameless } = message(payload);
    expect(isBelieved(received(bytes(nameless), 'robot-08'))).toBe(false);
    expect(isBelieved(received(bytes(nameless), 'robot-07'))).toBe(true);
  });

  it('signed by somebody else is not believed', () => {
    const stranger = signerOf(newKey().privatePem);
    expect(isBelieved(received(encodeAck(ackOf({ upto: 5, missing: [] }), stranger.sign)))).toBe(false);
    const lying = { kid: signer.kid, value: stranger.sign(Buffer.from('x')).value };
    expect(isBelieved(received(encodeAck(ackOf({ upto: 5, missing: [] }), () => lying)))).toBe(false);
  });

  it('never claims more than it has room to say', () => {
    const many = Array.from({ length: 20_000 }, (_none, n): SeqRange => [1_000_000_000 + 4 * n, 1_000_000_001 + 4 * n]);
    const payload = encodeAck(ackOf({ upto: 2_000_000_000, missing: many }), signer.sign);
    expect(payload.byteLength).toBeLessThanOrEqual(ackLimits.bytes);
    const parsed = received(payload);
    expect(isBelieved(parsed)).toBe(true);
    const lane = parsed.ack.epochs.get('8f3c')?.get('event');
    const kept = lane?.missing.length ?? 0;
    expect(kept).toBeGreaterThan(500);
    expect(lane).toEqual({ upto: (many[kept]?.[0] ?? 0) - 1, missing: many.slice(0, kept) });
  });
});

describe('bad input', () => {
  const sig = { kid: 'a'.repeat(43), value: 'b'.repeat(86) };
  const lane = (state: unknown): unknown => ({ epochs: { '8f3c': { event: state } }, sig });

  it.each([
    ['garbage', 'hello', 'not-json'],
    ['nothing', '', 'not-json'],
    ['half of one', '{"epochs":{"8f', 'not-json'],
    ['a number', 7, 'malformed'],
    ['null', 'null', 'malformed'],
    ['a list', [], 'malformed'],
    ['no epochs', { sig }, 'malformed'],
    ['an epoch that is none', { epochs: { 'no epoch': {} }, sig }, 'malformed'],
    ['a lane that is none', { epochs: { '8f3c': { everything: { upto: '1' } } }, sig }, 'malformed'],
    ['a lane of the prototype', '{"epochs":{"8f3c":{"__proto__":{"upto":"1"}}}}', 'malformed'],
    ['a number for a text', lane({ upto: 5 }), 'malformed'],
    ['a negative number', lane({ upto: '-5' }), 'malformed'],
    ['a leading zero', lane({ upto: '05' }), 'malformed'],
    ['a number beyond all', lane({ upto: '9999999999999' }), 'malformed'],
    ['a number in words', lane({ upto: '1e3' }), 'malformed'],
    ['a range backwards', lane({ upto: '9', missing: [['5', '4']] }), 'malformed'],
    ['a range from nothing', lane({ upto: '9', missing: [['0', '4']] }), 'malformed'],
    ['a range above', lane({ upto: '9', missing: [['8', '12']] }), 'malformed'],
    ['a range to the very end', lane({ upto: '9', missing: [['8', '9']] }), 'malformed'],
    [
      'ranges that overlap',
      lane({
        upto: '9',
        missing: [
          ['2', '4'],
          ['4', '5'],
        ],
      }),
      'malformed',
    ],
    [
      'ranges out of order',
      lane({
        upto: '9',
        missing: [
          ['5', '6'],
          ['2', '3'],
        ],
      }),
      'malformed',
    ],
    ['ranges of three', lane({ upto: '9', missing: [['2', '3', '4']] }), 'malformed'],
    ['ranges that are no list', lane({ upto: '9', missing: { 0: ['2', '3'] } }), 'malformed'],
    [
      'too many epochs',
      { epochs: Object.fromEntries(Array.from({ length: 33 }, (_n, i) => [`${i}`, {}])), sig },
      'malformed',
    ],
    ['no signature', { epochs: {} }, 'unsigned'],
    ['a short signature', { epochs: {}, sig: { ...sig, value: 'b' } }, 'unsigned'],
    ['a signature without a name', { epochs: {}, sig: { value: sig.value } }, 'unsigned'],
    ['another device', { epochs: {}, device: 'robot-08', sig }, 'other-device'],
    ['a device that is no text', { epochs: {}, device: null, sig }, 'other-device'],
    ['too many bytes', ' '.repeat(ackLimits.bytes + 1), 'too-large'],
    ['nesting without end', `{"epochs":{},"x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'malformed'],
  ] as const)('%s is refused', (_what, input, problem) => {
    expect(parseAck(bytes(input), 'robot-07')).toBe(problem);
  });

  it('invalid UTF-8 is refused', () => {
    expect(parseAck(Buffer.from([0x7b, 0xc3, 0x28, 0x7d]), 'robot-07')).toBe('not-utf-8');
  });

  it('never throws, whatever comes', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.json().map(bytes),
      fc.jsonValue().map((value) => bytes(lane(value))),
    );
    fc.assert(fc.property(any, (payload) => parseAck(payload, 'robot-07') !== undefined));
  });
});

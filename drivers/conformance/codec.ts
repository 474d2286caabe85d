/** What every codec has to hold, whatever bytes come. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Codec } from '../codec.ts';
import type { Driver } from '../driver.ts';
import type { Vector, Vectors } from './vectors.ts';

type AnyCodec = Codec<unknown, unknown>;
/** The same cases everywhere: a failure shows itself again. */
const runs = { seed: 20_261_122, numRuns: 200 };
const endlessBytes = 1_000_000;

export function codecTests(driver: Driver, options: unknown, vectors: Vectors, flips: string | undefined): void {
  const { integrity } = driver.manifest(options);
  const sides = (['device', 'host'] as const).map((from) => ({
    from,
    vectors: vectors.vectors.filter((vector) => vector.from === from),
    rejected: vectors.rejected.filter((vector) => vector.from === from),
    make: (): AnyCodec => (from === 'device' ? driver.protocol(options).host() : driver.protocol(options).device()),
    encoder: (): AnyCodec => (from === 'device' ? driver.protocol(options).device() : driver.protocol(options).host()),
  }));

  it('has vectors from the device', () => {
    expect(vectors.vectors.some(({ from }) => from === 'device')).toBe(true);
  });

  describe.each(sides.filter((side) => side.vectors.length > 0))(
    'what the $from says',
    ({ vectors: known, rejected, make, encoder }) => {
      const stream = joined(known.map(({ bytes }) => bytes));
      const spoken = known.flatMap(({ messages }) => messages);

      it.each(known.map((vector) => [vector.name, vector] as const))('reads %s', (_name, { bytes, messages }) => {
        expect(decode(make(), [bytes])).toEqual(messages);
      });

      it.each(known.filter(({ twoWay }) => twoWay).map((vector) => [vector.name, vector] as const))(
        'writes %s',
        (_name, { bytes, messages }) => {
          const codec = encoder();
          expect(Buffer.from(joined(messages.map((message) => codec.encode(message)))).toString('hex')).toBe(
            Buffer.from(bytes).toString('hex'),
          );
        },
      );

      it.each(rejected.map((vector) => [vector.name, vector] as const))('rejects %s', (_name, { bytes, reason }) => {
        const codec = make();
        const [pushed, rest] = [codec.push(bytes), codec.quiet()];
        expect([...pushed.messages, ...rest.messages]).toEqual([]);
        expect([...pushed.rejected, ...rest.rejected].map((each) => each.reason)).toContain(reason);
      });

      it('reads the same in one piece, split anywhere, and a byte at a time', () => {
        expect(decode(make(), [stream])).toEqual(spoken);
        expect(
          decode(
            make(),
            Array.from(stream, (byte) => Uint8Array.of(byte)),
          ),
        ).toEqual(spoken);
        for (let at = 1; at < stream.length; at += 1) {
          expect(decode(make(), [stream.subarray(0, at), stream.subarray(at)]), `split at ${at}`).toEqual(spoken);
        }
        fc.assert(
          fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
            expect(decode(make(), split(stream, cuts))).toEqual(spoken);
          }),
          runs,
        );
      });

      it('makes nothing of a frame that was cut', () => {
        for (const { name, bytes, messages } of known) {
          // of CR LF the first may end it
          const end = bytes.at(-1) === 0x0a && bytes.at(-2) === 0x0d ? bytes.length - 1 : bytes.length;
          for (let length = 0; length < end; length += 1) {
            const cut = decode(make(), [bytes.subarray(0, length)]);
            expect(cut.length, `${name} cut after ${length} bytes`).toBeLessThan(messages.length);
            expect(cut).toEqual(messages.slice(0, cut.length));
          }
        }
      });

      it('finds its frames among garbage', () => {
        fc.assert(
          fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (before, between) => {
            const codec = make();
            const found: unknown[] = [];
            const hear = (bytes: Uint8Array, isPause: boolean): void => {
              found.push(...codec.push(bytes).messages);
              if (isPause) found.push(...codec.quiet().messages);
            };
            // without a checksum only a pause tells garbage from what follows it
            hear(before, integrity === 'none');
            for (const { bytes } of known) {
              hear(bytes, integrity === 'none');
              hear(between, integrity === 'none');
            }
            found.push(...codec.quiet().messages);
            expectWithin(found, spoken);
          }),
          { ...runs, numRuns: 60 },
        );
      });

      if (integrity === 'checksum') {
        it(`takes no frame with a flipped bit for another${flips === undefined ? '' : `, but: ${flips}`}`, () => {
          for (const vector of known) flipEveryBit(vector, make, flips !== undefined);
        });
      }

      it('is found again after a damaged frame', () => {
        const [first] = known;
        if (!first) return;
        const codec = make();
        codec.push(first.bytes.subarray(0, Math.ceil(first.bytes.length / 2)));
        codec.quiet();
        expect(decode(codec, [first.bytes])).toEqual(first.messages);
      });

      it('bounds what never ends', () => {
        const starts = [
          new Uint8Array(0),
          ...known.map(({ bytes }) => bytes.subarray(0, Math.max(1, bytes.length - 3))),
        ];
        for (const start of starts.slice(0, 4)) {
          for (const filler of [0x00, 0x41, 0xff, start[0] ?? 0x30]) endless(make(), start, filler);
        }
        const [last] = known;
        const codec = make();
        endless(codec, new Uint8Array(0), 0x41);
        codec.quiet();
        // a line that was too long ends with its own end, which the next frame may have to bring
        const after = [...decode(codec, [last?.bytes ?? stream]), ...decode(codec, [last?.bytes ?? stream])];
        expectWithin(after, last?.messages ?? []);
      });

      it('never throws, and never holds more than its limit', () => {
        fc.assert(
          fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (pieces) => {
            const codec = make();
            for (const piece of pieces) {
              codec.push(piece);
              expect(codec.pending).toBeLessThanOrEqual(codec.limit);
            }
            codec.quiet();
            expect(codec.pending).toBe(0);
          }),
          runs,
        );
      });
    },
  );
}

function decode(codec: AnyCodec, pieces: readonly Uint8Array[]): unknown[] {
  // each piece in a buffer that is used again: what a codec keeps, it must copy
  const buffer = new Uint8Array(Math.max(1, ...pieces.map(({ length }) => length)));
  const messages = pieces.flatMap((piece) => {
    buffer.set(piece);
    const decoded = codec.push(buffer.subarray(0, piece.length)).messages;
    buffer.fill(0xaa);
    return decoded;
  });
  return [...messages, ...codec.quiet().messages];
}

function flipEveryBit({ name, bytes, messages }: Vector, make: () => AnyCodec, isLenient: boolean): void {
  const passed: number[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = decode(make(), [flipped]);
    // a bit that means nothing, such as the case of a hexadecimal digit, may pass with the same meaning
    if (!read.every((message) => messages.some((known) => isSame(message, known)))) passed.push(bit);
  }
  if (!isLenient) expect(passed, `${name}: bits whose flip makes another message`).toEqual([]);
}

function isSame(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b);
    return true;
  } catch {
    return false;
  }
}

function endless(codec: AnyCodec, start: Uint8Array, filler: number): void {
  codec.push(start);
  const piece = new Uint8Array(4_096).fill(filler);
  for (let sent = 0; sent < endlessBytes; sent += piece.length) {
    codec.push(piece);
    expect(codec.pending).toBeLessThanOrEqual(codec.limit);
  }
}

/** All of `wanted` in their order, others in between. */
function expectWithin(found: readonly unknown[], wanted: readonly unknown[]): void {
  let at = 0;
  for (const message of found) if (at < wanted.length && isSame(message, wanted[at])) at += 1;
  expect(wanted.slice(at), 'messages that were not found').toEqual([]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

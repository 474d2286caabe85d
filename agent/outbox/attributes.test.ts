import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeAttributes, encodeEvent, encodeHead, type Origin, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { ClockQuality } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import { lanes } from '#agent/domain/lane.ts';
import { Attributes } from './attributes.ts';
import { testEvent } from './test-rig.ts';

const origins: readonly Origin[] = [
  { device: 'robot-07', epoch: 'ab'.repeat(16), boot: 3 },
  { device: 'robot-07', epoch: 'cd'.repeat(16), boot: 12 },
  { device: '巡逻-1', epoch: 'ab'.repeat(16), boot: 3 },
];

const few = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** Mostly near each other, so that most events are like the one before; and where the count of digits changes. */
const near = (...from: readonly number[]): fc.Arbitrary<number> =>
  fc.tuple(fc.constantFrom(...from), fc.integer({ min: -3, max: 3 })).map(([base, by]) => base + by);

const step = fc.record({
  lane: few(...lanes.slice(0, 2)),
  subject: few('camera/front', 'camera/front', '摄像头/"前"', '\ud800'),
  phase: few<Event['phase']>('start', 'end', undefined),
  kind: few<'camera' | 'line-crossing'>('camera', 'line-crossing'),
  wallMs: fc.oneof(near(1_795_334_400_000, 1_795_334_401_000), few(Number.NaN, Infinity, -1, 0, 1e18)),
  monoMs: fc.oneof(
    near(9, 99_999, 1e9, 1e15).map((ms) => ms + 0.4),
    few(-1, 0, 1e21, Number.NaN),
  ),
  seq: near(4, 10, 1e5, 1e9, 2 ** 40).filter((seq) => seq > 0),
  origin: few(...origins),
  clock: few<ClockQuality>('synced', 'unsynced'),
});

it('writes what the encoder writes, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const attributes = new Attributes();
      for (const { lane, subject, phase, kind, wallMs, monoMs, seq, origin, clock } of steps) {
        const event = { ...testEvent(lane, 0), subject, phase, kind, wallMs, monoMs } as Event;
        const written = attributes.of(event, origin, clock, seq);
        const encoded = encodeEvent(event, origin, clock);
        const head = encodeHead(origin.epoch, lane);
        const whole = Buffer.from(spliceSequence(head, { ...encoded, data: '' }, seq));
        expect(Buffer.from(written.bytes).toString()).toBe(whole.subarray(0, -1).toString());
        const { toSeq } = encodeAttributes(event, origin, clock);
        expect(Buffer.from(written.bytes.subarray(0, written.second)).toString().endsWith(toSeq)).toBe(true);
        expect(written.storeBytes).toBe(head.length + 2 * String(seq).length);
      }
    }),
    { numRuns: 500 },
  );
});

it('writes digits alone for an event like the one before', () => {
  const attributes = new Attributes();
  const [origin] = origins;
  if (!origin) throw new Error('There is one.');
  const { bytes } = attributes.of(testEvent('event', 1), origin, 'synced', 41);
  const before = Buffer.from(bytes);
  // the same memory: nothing was put together anew
  expect(attributes.of(testEvent('event', 2), origin, 'synced', 42).bytes).toBe(bytes);
  const differing = bytes.filter((byte, at) => byte !== before[at]);
  expect(Buffer.from(differing).toString()).toBe('2222');
});

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkEvent } from './catalogue.ts';
import { encodeEvent, encodeHead, type Origin, spliceSequence } from './cloudevent.ts';
import type { ClockQuality } from './envelope.ts';
import type { Event } from './event.ts';

interface Golden {
  readonly origin: Origin;
  readonly clock: ClockQuality;
  readonly seq: string;
  readonly event: Event;
  readonly json: string;
}

// Not imported: the bundler's JSON reader knows no lone surrogates.
const golden = JSON.parse(readFileSync(new URL('golden/cloudevents.json', import.meta.url), 'utf8')) as Golden[];

it.each(golden)('encodes byte for byte: $event.kind', ({ event, origin, clock, seq, json }) => {
  const encoded = encodeEvent(event, origin, clock);
  const text = spliceSequence(encodeHead(origin.epoch, event.lane), encoded, BigInt(seq));
  expect(text).toBe(json);
  expect(checkEvent(JSON.parse(text))).toBeUndefined();
});

it('encodes a clock beyond all dates without an exception', () => {
  for (const wallMs of [Number.NaN, Infinity, -Infinity, 1e18, -1]) {
    const event: Event = {
      kind: 'dropped',
      lane: 'audit',
      subject: 's',
      wallMs,
      monoMs: -1,
      data: { lane: 'event', first: '1', last: '1', count: 1, bytes: 1, reason: 'budget' },
    };
    const encoded = encodeEvent(event, { device: 'd', epoch: 'e'.repeat(32), boot: 1 }, 'stepped');
    const parsed = JSON.parse(spliceSequence(encodeHead('e'.repeat(32), 'audit'), encoded, 1)) as object;
    expect(checkEvent(parsed)).toBeUndefined();
  }
});

/** Every event is checked against its kind's schema; what is wrong is found. */
import { describe, expect, it } from 'vitest';
import { checkEvent } from './catalogue.ts';
import { encodeEvent, encodeHead, spliceSequence } from './cloudevent.ts';
import type { Event } from './event.ts';

const event: Event = {
  kind: 'line',
  lane: 'event',
  subject: 'camera/front',
  wallMs: Date.UTC(2026, 10, 22, 8),
  monoMs: 88_213,
  data: {
    incident: 'i.1',
    rule: 'gate',
    frame: 7,
    line: 'gate',
    direction: 'forward',
    count: { forward: 1, backward: 0 },
    object: { track: 1, label: 'person', score: 0.9, box: [0, 0, 1, 1] },
  },
};

const wire = (): Record<string, unknown> =>
  JSON.parse(
    spliceSequence(
      encodeHead('8f3c0000', 'event'),
      encodeEvent(event, { device: 'robot-07', epoch: '8f3c0000', boot: 17 }, 'synced'),
      1042,
    ),
  ) as Record<string, unknown>;

describe('the catalogue', () => {
  it('accepts an event as it is sent', () => {
    expect(checkEvent(wire())).toBeUndefined();
    expect(wire()).toMatchObject({ id: 'e-8f3c0000-event-1042', seq: '1042', boot: '17', type: 'outpost.line' });
  });

  it.each([
    ['a number for a sequence number', { seq: 1042 }],
    ['an unknown kind', { type: 'outpost.weather.start' }],
    ['data of another kind', { data: { incident: 'i.1' } }],
    ['an attribute too many', { face: 'x' }],
    ['an unknown lane', { lane: 'fast' }],
  ])('refuses %s', (_what, change) => {
    expect(checkEvent({ ...wire(), ...change })).toBeTypeOf('string');
  });
});

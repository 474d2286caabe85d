import { describe, expect, it } from 'vitest';
import { parsePresence } from './presence.ts';
import { largestPayloadBytes, readPublish } from './received.ts';
import { droppedText, epochA, epochB, eventText, received, topicOf } from './test-rig.ts';

const changed = (change: Record<string, unknown>): string =>
  JSON.stringify({ ...(JSON.parse(eventText(7)) as object), ...change });

describe('a publish', () => {
  it('of one event and of many is read the same', () => {
    const [one] = received('event', eventText(7)).events;
    const batch = received('event', ` [${eventText(6)},${eventText(7)}]`);
    expect(batch.rejected).toEqual([]);
    expect(batch.events[1]).toEqual(one);
    expect(one).toMatchObject({
      key: { device: 'robot-07', epoch: epochA, lane: 'event' },
      seq: 7,
      type: 'outpost.camera.start',
      subject: 'camera/front',
      boot: 3,
      monoMs: 7,
      clock: 'synced',
      extra: undefined,
    });
    expect(JSON.parse(one?.data ?? '')).toMatchObject({ incident: 'i-7' });
    expect(received('event', '[]')).toEqual({ events: [], rejected: [] });
  });

  it('tells by its digest whether two contents are the same', () => {
    const digest = (text: string): string | undefined => received('event', text).events[0]?.digest;
    expect(digest(eventText(7))).toMatch(/^[0-9a-f]{32}$/);
    expect(digest(` ${eventText(7)} `)).toBe(digest(eventText(7)));
    expect(digest(eventText(7, { detail: 'other' }))).not.toBe(digest(eventText(7)));
  });

  it('keeps what a newer device adds: kinds, attributes, members', () => {
    const data = { ...(JSON.parse(eventText(7)) as { data: object }).data, fresh: 1 };
    for (const change of [
      { type: 'outpost.teleport.start', data: { sealed: 'x' } },
      { traceparent: 'abc' },
      { data },
    ]) {
      const { events, rejected } = received('event', changed(change));
      expect(rejected).toEqual([]);
      expect(events).toHaveLength(1);
    }
    expect(received('event', changed({ traceparent: 'abc' })).events[0]?.extra).toBe('{"traceparent":"abc"}');
  });

  it.each([
    ['data against its schema', { data: { incident: 'i', condition: 'purple', durationMs: 1 } }, true],
    ['no data', { data: undefined }, true],
    ['another source', { source: '/outpost/robot-08' }, true],
    ['no type', { type: 7 }, true],
    ['a date that is none', { time: '2026-02-31T00:00:00Z' }, true],
    ['U+0000', { subject: 'a\u0000b' }, true],
    ['half a surrogate pair', { subject: '\ud800' }, true],
    ['a boot beyond all numbers', { boot: '9'.repeat(40) }, true],
    ['another lane than the topic', { lane: 'alarm' }, false],
    ['an epoch that is none', { epoch: 'x'.repeat(32) }, false],
    ['number 0', { seq: '0' }, false],
    ['a number beyond 40 bits', { seq: String(2 ** 40) }, false],
    ['a negative number', { seq: '-1' }, false],
    ['a number that is no string', { seq: 7 }, false],
  ])('with %s is set aside, and is known again where its identity can be read', (_what, change, identified) => {
    const { events, rejected } = received('event', `[${eventText(1)},${changed(change)}]`);
    expect(events.map(({ seq }) => seq)).toEqual([1]);
    expect(rejected).toHaveLength(1);
    expect(rejected[0]?.identity !== undefined).toBe(identified);
    expect(rejected[0]?.reason.length).toBeGreaterThan(5);
    expect(rejected[0]?.payload.toString()).toContain('"specversion":"1.0"');
  });

  it('with a backslash before u0000 is an event like any other', () => {
    const { events } = received('event', changed({ subject: String.raw`a\u0000b` }));
    expect(events[0]?.subject).toBe(String.raw`a\u0000b`);
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'not JSON'],
    ['garbage', Buffer.from('\u0001\u0002 hello'), 'not JSON'],
    ['half an event', Buffer.from(eventText(7).slice(0, 100)), 'not JSON'],
    ['invalid UTF-8', Buffer.concat([Buffer.from(eventText(7)), Buffer.from([0xff, 0xfe])]), 'not UTF-8'],
    ['a number', Buffer.from('42'), undefined],
    ['null in a batch', Buffer.from('[null]'), undefined],
    ['far too much', Buffer.alloc(largestPayloadBytes + 1, 0x20), 'larger than 1048576 bytes'],
    ['deep nesting', Buffer.from('['.repeat(400_000) + ']'.repeat(400_000)), undefined],
  ])('of %s is set aside whole', (_what, payload, reason) => {
    const { events, rejected } = readPublish(topicOf('robot-07', 'event'), 'robot-07', 'event', payload);
    expect(events).toEqual([]);
    expect(rejected).toHaveLength(1);
    if (reason !== undefined) expect(rejected[0]?.reason).toBe(reason);
    expect(rejected[0]?.identity).toBeUndefined();
    expect(rejected[0]?.payload.length).toBeLessThanOrEqual(64 * 1024);
  });

  it('declares what was given up, in its own epoch and in an older one', () => {
    const declared = (text: string): unknown => received('audit', text).events[0]?.declaration;
    expect(declared(droppedText(1, { first: 5, last: 9 }))).toMatchObject({
      target: { device: 'robot-07', epoch: epochA, lane: 'event' },
      range: [5, 9],
      reason: 'budget',
    });
    expect(declared(droppedText(1, { first: 5, last: 9, epoch: epochB }))).toMatchObject({ target: { epoch: epochB } });
    expect(declared(droppedText(1, { first: 9, last: 5 }).replace('"count":-3', '"count":1'))).toBeUndefined();
  });
});

describe('presence', () => {
  const read = (message: unknown): unknown => parsePresence('robot-07', Buffer.from(JSON.stringify(message)));

  it('tells what each lane holds, and leaves out what cannot be read', () => {
    const epochs = {
      [epochA]: {
        event: { first: '5', last: '9', depth: 5, bytes: 900 },
        alarm: { first: '1', last: 'x' },
        audit: { first: '12', last: '3' },
        lunch: { first: '1', last: '2' },
      },
      '<script>': { event: { first: '1', last: '2' } },
    };
    expect(read({ online: true, device: 'robot-07', version: '0.1.0', epoch: epochA, epochs })).toMatchObject({
      online: true,
      version: '0.1.0',
      lanes: [{ key: { device: 'robot-07', epoch: epochA, lane: 'event' }, first: 5, last: 9, depth: 5 }],
    });
    expect(read({ online: false })).toMatchObject({ online: false, lanes: [] });
  });

  it.each([
    [[]],
    [{}],
    [{ online: 'yes' }],
    [null],
    [{ online: true, device: 'robot-08' }],
    [{ online: true, version: '\u0000' }],
  ])('is not %j', (message) => {
    expect(typeof read(message)).toBe('string');
  });

  it('is not bytes of any kind', () => {
    expect(typeof parsePresence('robot-07', Buffer.from([0xff, 0x00]))).toBe('string');
  });
});

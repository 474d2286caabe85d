/** What goes down to devices, read as far as it must be, and refused when it is garbage. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answersIn, readCommand, readDesired, readReported } from './downlink.ts';
import { answerText, commandMessage, desiredMessage, received } from './test-rig.ts';

const jws = (claims: unknown): Buffer =>
  Buffer.from(JSON.stringify({ payload: Buffer.from(JSON.stringify(claims)).toString('base64url') }));
const at = '2026-11-26T12:00:00Z';

describe('what goes down', () => {
  it('is read as far as a sink needs it', () => {
    expect(readDesired('robot-07', desiredMessage(7))).toMatchObject({
      kind: 'desired',
      version: 7,
      hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(readDesired('robot-07', Buffer.alloc(0))).toEqual({ kind: 'cleared', device: 'robot-07' });
    expect(readDesired('robot-07', jws({ version: 1, selector: { site: 'east' } }))).toMatchObject({ version: 1 });
    expect(readCommand('robot-07', commandMessage('c-1', at))).toMatchObject({ id: 'c-1', expiresMs: Date.parse(at) });
    expect(readCommand('robot-07', commandMessage('c-1', 1_795_000_000))).toMatchObject({
      expiresMs: 1_795_000_000_000,
    });
    expect(readCommand('robot-07', commandMessage('c-1', 1e300))).toMatchObject({ expiresMs: Date.UTC(9999, 11, 31) });
    expect(readReported('robot-07', Buffer.from('{"version":7,"phase":"applying","hash":5}'))).toMatchObject({
      version: 7,
      phase: 'applying',
      hash: undefined,
    });
  });

  it.each([
    ['of another device', desiredMessage(7, 'x', 'robot-08'), commandMessage('c', at, 'robot-08')],
    ['without version, without id', jws({}), jws({ expires: at })],
    ['of a version that is none, of an id that is none', jws({ version: -1 }), jws({ id: 7, expires: at })],
    ['of a version beyond all numbers, that never expires', jws({ version: 2 ** 60 }), jws({ id: 'c' })],
    ['whose payload is no object', jws([1]), jws('x')],
    ['that expires at no time', jws({ version: '7' }), jws({ id: 'c', expires: 'soon' })],
    ['too large', jws({ version: 1, x: 'x'.repeat(300_000) }), jws({ id: 'c', expires: at, x: 'x'.repeat(70_000) })],
    ['with an id that no log could show', jws({ version: 1.5 }), jws({ id: 'a\u0000b', expires: at })],
  ])('is garbage when it is %s', (_what, desired, command) => {
    expect(typeof readDesired('robot-07', desired)).toBe('string');
    expect(typeof readCommand('robot-07', command)).toBe('string');
  });

  it('never throws, whatever comes', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
      fc.jsonValue().map(jws),
      fc.string().map((payload) => Buffer.from(JSON.stringify({ payload }))),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        for (const read of [readDesired, readCommand, readReported]) expect(read('robot-07', bytes)).toBeDefined();
      }),
      { numRuns: 500 },
    );
    for (const text of ['{"version":1,"x":"\\u0000"}', '{"version":1,"x":"\\ud800"}', '[]', '{"version":"1"}']) {
      expect(typeof readReported('robot-07', Buffer.from(text))).toBe('string');
    }
  });

  it('is answered by command events alone, the last of each', () => {
    const texts = [answerText(1, 'b', 'accepted'), answerText(2, 'a', 'refused'), answerText(3, 'b', 'done')];
    const events = texts.flatMap((text) => received('event', text).events);
    expect(answersIn(events)).toEqual([
      { device: 'robot-07', id: 'a', answer: 'refused' },
      { device: 'robot-07', id: 'b', answer: 'done' },
    ]);
    for (const data of ['null', '{}', '{"id":7}', '[]', '7']) {
      const [event] = events;
      expect(event && answersIn([{ ...event, data }])).toEqual([]);
    }
  });
});

/** Requests and their answers, turn by turn, on a clock of the test's own. */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Bus } from './bus.ts';
import { frame, framing, open } from './codec.ts';
import { plainLine, type LineNeeds } from './driver.ts';
import { EchoFilter } from './echo.ts';
import { Link, outcomeOf } from './link.ts';
import { memoryPair } from './memory-transport.ts';

/** One byte, one message. */
const bytes = () =>
  framing<number, number>({
    limit: 8,
    look: (window) => (window.length > 0 ? frame(1, window[0]) : open),
    encode: (value) => Uint8Array.of(value),
  });
const line: LineNeeds = { ...plainLine, answerMs: 100, settleMs: 50, turnaroundMs: 0 };
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function rig(needs: Partial<LineNeeds> = {}, links = 1) {
  const clock = new ManualClock();
  const [host, device] = memoryPair();
  const heard: number[] = [];
  device.attach({ onBytes: (said) => heard.push(...said), onClosed: () => undefined });
  const bus = new Bus(host, clock);
  const all = Array.from(
    { length: links },
    () => new Link<number, number>({ bus, codec: bytes(), line: { ...line, ...needs }, clock }),
  );
  const say = async (...values: readonly number[]): Promise<void> => {
    await device.write(Uint8Array.from(values));
    await settle();
  };
  const { signal } = new AbortController();
  const ask = (value: number, answerMs?: number, link = all[0] as Link<number, number>) =>
    link.request(
      value,
      { matches: (answer) => answer === value + 100, ...(answerMs === undefined ? {} : { answerMs }) },
      signal,
    );
  return { clock, device, heard, bus, links: all, link: all[0] as Link<number, number>, say, ask, signal };
}

describe('a request', () => {
  it('takes its own answer, and leaves the rest to who listens', async () => {
    const { ask, say, link } = rig();
    const answer = ask(1);
    await settle();
    await say(7, 101, 8);
    expect(await answer).toMatchObject({ is: 'answered', message: 101 });
    expect([...link.unread()]).toEqual([7, 8]);
    expect(link.figures()).toMatchObject({ messages: 3, requests: 1, timeouts: 0 });
  });

  it('waits its turn, and leaves the line alone after a missing answer', async () => {
    const { ask, say, heard, clock, link } = rig();
    const [first, second] = [ask(1), ask(2)];
    await settle();
    expect(heard).toEqual([1]);
    expect(link.figures().waiting).toBe(1);
    await clock.advance(100);
    expect(await first).toEqual({ is: 'timeout', written: true });
    await settle();
    expect(heard).toEqual([1]);
    // the late answer is nobody's
    await say(101);
    await clock.advance(50);
    await settle();
    expect(heard).toEqual([1, 2]);
    await say(102);
    expect(await second).toMatchObject({ is: 'answered', message: 102 });
    expect([...link.unread()]).toEqual([101]);
  });

  it('ends by its own limit, whatever the limit of the one before was', async () => {
    const { ask, say, clock } = rig();
    const long = ask(1, 60_000);
    await settle();
    await say(101);
    expect(await long).toMatchObject({ is: 'answered' });
    const brief = ask(2, 20);
    await settle();
    await clock.advance(20);
    expect(await brief).toMatchObject({ is: 'timeout' });
    expect(clock.sleeping).toBeLessThanOrEqual(1);
  });

  it('ends with the connection, and the next is refused before the line', async () => {
    const { ask, device, heard, link } = rig();
    const answer = ask(1);
    await settle();
    device.unplug();
    expect(await answer).toMatchObject({ is: 'lost', written: true, error: { code: 'port-lost' } });
    expect(await ask(2)).toMatchObject({ is: 'lost', written: false });
    expect(heard).toEqual([1]);
    expect(link.closed.aborted).toBe(true);
  });

  it('in a hurry goes before all that wait, also those of other devices on the line', async () => {
    const { ask, say, heard, links } = rig({}, 2);
    const [one, other] = links as [Link<number, number>, Link<number, number>];
    const asked = [ask(1, 100, one), ask(2, 100, one), ask(3, 100, one)];
    await settle();
    {
      using _hurry = other.hurry();
      asked.push(ask(9, 100, other));
    }
    asked.push(ask(4, 100, other));
    for (const value of [1, 9, 2, 3, 4]) await say(value + 100);
    expect(heard).toEqual([1, 9, 2, 3, 4]);
    expect((await Promise.all(asked)).map(({ is }) => is)).toEqual(asked.map(() => 'answered'));
  });

  it('gives its turn back when it is aborted while it waits', async () => {
    const { link, bus, ask, say, heard } = rig();
    const first = ask(1);
    const stop = new AbortController();
    const second = link.request(2, { matches: () => true }, stop.signal);
    await settle();
    stop.abort(new Error('stopped'));
    await expect(second).rejects.toThrow('stopped');
    await say(101);
    await first;
    const third = ask(3);
    await settle();
    await say(103);
    expect(await third).toMatchObject({ is: 'answered' });
    expect(heard).toEqual([1, 3]);
    expect(bus.waiting).toBe(0);
  });
});

describe('a bus', () => {
  it('gives bytes to who asked, and counts those that nobody asked for', async () => {
    const { links, ask, say, bus } = rig({}, 2);
    const answer = ask(1, undefined, links[1]);
    await settle();
    await say(101);
    expect(await answer).toMatchObject({ is: 'answered' });
    await say(9, 9);
    expect(bus.strayBytes).toBe(2);
    expect(links.flatMap((link) => [...link.unread()])).toEqual([]);
  });

  it('keeps the turnaround between two exchanges', async () => {
    const { ask, say, heard, clock } = rig({ turnaroundMs: 30 });
    const first = ask(1);
    await settle();
    await say(101);
    await first;
    const second = ask(2);
    await settle();
    expect(heard).toEqual([1]);
    await clock.advance(30);
    await settle();
    expect(heard).toEqual([1, 2]);
    await say(102);
    await second;
  });
});

describe('an outcome', () => {
  it('is acknowledged by the device alone, and unknown where bytes went out', () => {
    const consent = (message: number) => message === 1 || 'no';
    expect(outcomeOf({ is: 'answered', message: 1, roundTripMs: 1 }, consent)).toEqual({ status: 'acknowledged' });
    expect(outcomeOf({ is: 'answered', message: 2, roundTripMs: 1 }, consent)).toEqual({
      status: 'rejected',
      reason: 'no',
    });
    expect(outcomeOf({ is: 'timeout', written: true }, consent)).toMatchObject({ status: 'unknown' });
    expect(outcomeOf({ is: 'timeout', written: false }, consent)).toMatchObject({ status: 'timeout' });
  });
});

describe('an echo', () => {
  it('is taken out in pieces, given up where it breaks off, and forgotten when it does not come', () => {
    const echo = new EchoFilter();
    echo.expect(Uint8Array.of(1, 2, 3), 0);
    expect(echo.filter(Uint8Array.of(1, 2), 1)).toEqual(Uint8Array.of());
    expect(echo.filter(Uint8Array.of(3, 9), 2)).toEqual(Uint8Array.of(9));
    echo.expect(Uint8Array.of(1, 2, 3), 10);
    expect(echo.filter(Uint8Array.of(1, 7), 11)).toEqual(Uint8Array.of(7));
    expect(echo.filter(Uint8Array.of(2, 3), 12)).toEqual(Uint8Array.of(2, 3));
    echo.expect(Uint8Array.of(1), 20);
    expect(echo.filter(Uint8Array.of(1), 5_000)).toEqual(Uint8Array.of(1));
    expect(echo.bytes).toBe(4);
  });
});

import { describe, expect, it } from 'vitest';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { silentLog } from './log.ts';
import { openServiceManager, type Send, serviceRequest } from './notify.ts';
import { type Organ, watchdogService } from './watchdog.ts';

type Lines = Readonly<Record<string, string | number>>;

/** A watchdog of 4 s on a clock that the test moves: a beat is a second. */
function watched(organs: readonly Organ[], { ready = (): boolean => true, refuses = (): boolean => false } = {}) {
  const clock = new ManualClock();
  const told: Lines[] = [];
  const stop = new AbortController();
  const manager = {
    watchdogMs: 4_000,
    tell: (lines: Lines) => {
      if (refuses()) return 'EAGAIN';
      told.push(lines);
      return undefined;
    },
  };
  const running = watchdogService({
    manager,
    organs,
    isReady: async () => Promise.resolve(ready()),
    status: () => 'well',
    clock,
    log: silentLog,
  }).run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  const fed = (): number => told.filter((lines) => 'WATCHDOG' in lines).length;
  return { clock, told, end, fed };
}

describe('the watchdog', () => {
  it('feeds at each beat while every part answers, and asks each', async () => {
    let asked = 0;
    const { clock, fed, end, told } = watched([{ name: 'a', silentMs: () => 10, ask: () => (asked += 1) }]);
    await clock.advance(10_000);
    expect(fed()).toBe(11);
    expect(asked).toBe(11);
    await end();
    expect(told.at(-1)).toMatchObject({ STOPPING: 1 });
  });

  it('feeds no more while one is silent, says which, and goes on when it answers', async () => {
    let silent = 0;
    const { clock, fed, end, told } = watched([{ name: 'writer', silentMs: () => silent }]);
    await clock.advance(1_000);
    silent = 4_001;
    const before = fed();
    await clock.advance(20_000);
    expect(fed()).toBe(before);
    expect(told.at(-1)).toEqual({ STATUS: 'Silent: writer. The watchdog is not fed.' });
    silent = 0;
    await clock.advance(1_000);
    expect(told.at(-1)).toEqual({ STATUS: 'well', WATCHDOG: 1 });
    await end();
  });

  it('gives a part the time that it is due, and none that is not supposed to run', async () => {
    const { clock, fed, end } = watched([
      { name: 'opening', silentMs: () => 50_000, limitMs: 60_000 },
      { name: 'child', silentMs: () => undefined },
    ]);
    await clock.advance(3_000);
    expect(fed()).toBe(4);
    await end();
  });

  it('is ready when it is, and says so until it is heard', async () => {
    let [isReady, isFull] = [false, true];
    const { clock, end, told } = watched([], { ready: () => isReady, refuses: () => isFull });
    await clock.advance(1_000);
    isReady = true;
    await clock.advance(1_000);
    expect(told).toEqual([]);
    isFull = false;
    await clock.advance(1_000);
    expect(told.filter((lines) => 'READY' in lines)).toEqual([{ READY: 1, STATUS: 'well' }]);
    await end();
  });
});

describe('what the service manager asks for', () => {
  it.each([
    [{}, undefined],
    [{ NOTIFY_SOCKET: '' }, undefined],
    [{ NOTIFY_SOCKET: 'relative' }, undefined],
    [{ NOTIFY_SOCKET: '/run/n' }, { socket: '/run/n', watchdogMs: undefined }],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '30000000' },
      { socket: '@n', watchdogMs: 30_000 },
    ],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '1000', WATCHDOG_PID: '7' },
      { socket: '@n', watchdogMs: 1 },
    ],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '1000', WATCHDOG_PID: '8' },
      { socket: '@n', watchdogMs: undefined },
    ],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: 'soon' },
      { socket: '@n', watchdogMs: undefined },
    ],
    [
      { NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '-1' },
      { socket: '@n', watchdogMs: undefined },
    ],
  ])('%o', (environment, request) => {
    expect(serviceRequest(environment, 7)).toEqual(request);
  });

  it('is told in lines that nothing inside them can break, and short enough', () => {
    const sent: string[] = [];
    const send: Send = (_socket, text) => sent.push(text) - sent.length;
    const manager = openServiceManager({ socket: '@n', watchdogMs: undefined }, send);
    expect(manager.tell({ STATUS: 'a\nREADY=1\r\nb', WATCHDOG: 1 })).toBeUndefined();
    expect(sent).toEqual(['STATUS=a READY=1 b\nWATCHDOG=1']);
    manager.tell({ STATUS: 'x'.repeat(10_000) });
    expect(sent[1]?.length).toBe(4_000);
    expect(openServiceManager({ socket: '@n', watchdogMs: undefined }, () => 2).tell({ READY: 1 })).toBe('ENOENT');
  });
});

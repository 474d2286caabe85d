/** A broker that answers pings, and owes everything else. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newKey } from '#agent/trust/keys.ts';
import { startAedes, TestSubscriber } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { Owed } from './owed.ts';
import { openStore, startUplink } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-owed-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a line without events whose broker answers pings alone', () => {
  it('is given up when up/state has no PUBACK, and the next line tells', async () => {
    const swallowed: unknown[] = [];
    await using broker = await startAedes((aedes) => {
      aedes.authorizePublish = (client, { topic }, callback) => {
        const isFirst = topic.endsWith('/up/state') && swallowed.length === 0;
        if (isFirst) swallowed.push(client);
        else callback(null);
      };
    });
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await using running = startUplink(outbox, { url: broker.url, keepalive: '1s' });
    await eventually(() => swallowed.length === 1, 'the first presence is swallowed');
    await eventually(() => running.uplink.status.lastError?.code === 'broker-silent', 'the silence was noticed');
    await eventually(() => running.uplink.status.connected, 'another line is up');
    await eventually(() => subscriber.states().some(({ online }) => online === true), 'it says that it is here');
    expect(running.uplink.status.lastError?.code).toBe('broker-silent');
  });

  it('is given up when the subscription has no SUBACK', async () => {
    let asked = 0;
    await using broker = await startAedes((aedes) => {
      aedes.authorizeSubscribe = (_client, subscription, callback) => {
        if (subscription.topic.endsWith('/down/ack') && (asked += 1) === 1) return;
        callback(null, subscription);
      };
    });
    await using outbox = await openStore(folder);
    await using running = startUplink(outbox, {
      url: broker.url,
      keepalive: '1s',
      consumers: [newKey().publicBase64],
    });
    await eventually(() => running.uplink.status.lastError?.code === 'broker-silent', 'the silence was noticed');
    await eventually(() => asked === 2, 'the next line asks again');
    await eventually(() => running.uplink.status.connected, 'it is up');
  });
});

it('knows the oldest question without an answer', async () => {
  const clock = new ManualClock();
  const owed = new Owed(clock);
  expect(owed.oldestMonoMs).toBe(Infinity);
  const first = Promise.withResolvers<number>();
  const second = Promise.withResolvers<number>();
  const asked = [owed.until(first.promise)];
  await clock.advance(100);
  asked.push(owed.until(second.promise));
  expect(owed.oldestMonoMs).toBe(0);
  first.resolve(1);
  expect(await asked[0]).toBe(1);
  expect(owed.oldestMonoMs).toBe(100);
  second.reject(new Error('cut'));
  await expect(asked[1]).rejects.toThrow('cut');
  expect(owed.oldestMonoMs).toBe(Infinity);
});

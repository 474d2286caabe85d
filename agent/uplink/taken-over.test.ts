/** What is taken over from a damaged store while the line is up leaves as everything else does. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';
import { damageCounters } from '#agent/outbox/test-rig.ts';
import { Mosquitto, TestSubscriber } from '#agent/testing/broker.ts';
import { TestConsumer } from '#agent/testing/consumer.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, event, many, openStore, startUplink, upTo } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-taken-over-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** As it is with a store that is too large to be salvaged first. */
const openDamaged = async (): Promise<Outbox> =>
  await openOutbox({
    path: folder,
    device: 'robot-07',
    maxSizeBytes: 64 * 1024 * 1024,
    clock: systemClock,
    log: silentLog,
    salvageFirstBytes: 0,
  });

const isTakenOver = (outbox: Outbox, epoch: string): boolean => outbox.slots.some((slot) => slot.epoch === epoch);

/** @returns numbers of an epoch, once each, in the order in which they came first */
const numbersOf = (subscriber: TestSubscriber, epoch: string): number[] => [
  ...new Set(subscriber.events('event').flatMap((each) => (each['epoch'] === epoch ? [Number(each['seq'])] : []))),
];

/** 300 events that the consumer has, and that the device has not been told of. @returns their epoch */
async function givenTo(consumer: TestConsumer, url: string): Promise<string> {
  await using outbox = await openStore(folder);
  const { epoch } = outbox;
  await outbox.append(many('event', 300));
  await using running = startUplink(outbox, { url, consumers: [consumer.signer.publicBase64] });
  await eventually(() => consumer.has(epoch, 'event') === 300, 'the consumer has everything');
  expect(running.uplink.status.acks?.accepted).toBe(0);
  return epoch;
}

describeWith('a damaged store, over mosquitto', [needsProgram('mosquitto')], () => {
  it('leaves after what came meanwhile, in order, and to its end', async () => {
    await using broker = await Mosquitto.start();
    await using subscriber = await TestSubscriber.connect(broker.url);
    let epoch = '';
    {
      await using outbox = await openStore(folder);
      epoch = outbox.epoch;
      await outbox.append(many('event', 2_000));
    }
    await damageCounters(folder);
    await using outbox = await openDamaged();
    await using running = startUplink(outbox, { url: broker.url });
    await outbox.append(many('event', 100));
    await eventually(() => isTakenOver(outbox, epoch), 'it is taken over');
    await outbox.append(many('event', 100, 101));
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    await eventually(() => numbersOf(subscriber, outbox.epoch).length === 200, 'what came since has arrived');
    expect(numbersOf(subscriber, epoch)).toEqual(upTo(2_000));
    expect(numbersOf(subscriber, outbox.epoch)).toEqual(upTo(200));
    await eventually(() => running.health.entries().length === 0, 'health is clean again');
  });

  it('is removed on the word of a consumer that had it before', async () => {
    await using broker = await Mosquitto.start();
    await using consumer = await TestConsumer.connect(broker.url);
    const consumers = [consumer.signer.publicBase64];
    const epoch = await givenTo(consumer, broker.url);
    await damageCounters(folder);
    await using outbox = await openDamaged();
    await eventually(() => isTakenOver(outbox, epoch), 'it is taken over');
    expect(depth(outbox)).toBe(300);
    await outbox.append([event('event', 1)]);
    await using running = startUplink(outbox, { url: broker.url, consumers });
    await consumer.say();
    await eventually(() => outbox.slots.every((slot) => slot.epoch !== epoch || slot.depth === 0), 'it is removed');
    await eventually(() => consumer.has(outbox.epoch, 'event') === 1, 'the consumer has what came since');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    expect(running.codes()).toEqual([]);
  });

  it('is removed on a word that may come before it is sent again', async () => {
    await using broker = await Mosquitto.start();
    await using consumer = await TestConsumer.connect(broker.url);
    const consumers = [consumer.signer.publicBase64];
    const epoch = await givenTo(consumer, broker.url);
    await damageCounters(folder);
    await using outbox = await openDamaged();
    await using running = startUplink(outbox, { url: broker.url, consumers });
    await eventually(() => isTakenOver(outbox, epoch), 'it is taken over');
    await eventually(async () => {
      // lines are renewed, and a word may fall between two of them
      await consumer.say();
      return depth(outbox) === 0;
    }, 'the outbox is empty');
    expect(running.uplink.status.acks?.refused).toBe(0);
  });
});

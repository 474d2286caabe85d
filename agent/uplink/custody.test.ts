import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Ack, encodeAck, type LaneAck } from '#agent/domain/ack.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { newKey, signerOf } from '#agent/trust/keys.ts';
import { Mosquitto, startAedes, TestSubscriber } from '#agent/testing/broker.ts';
import { TestConsumer } from '#agent/testing/consumer.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, event, many, openStore, startUplink } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-custody-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const ackOf = (epoch: string, lane: Lane, state: LaneAck): Ack => ({
  device: 'robot-07',
  epochs: new Map([[epoch, new Map([[lane, state]])]]),
});

describeWith('custody by the consumer, over mosquitto', [needsProgram('mosquitto')], () => {
  it('removes nothing on a PUBACK, and everything on the signed word of the consumer', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using consumer = await TestConsumer.connect(broker.url);
    await using watcher = await TestSubscriber.connect(broker.url, 'outpost/v1/+/up/state');
    await outbox.append([...many('event', 300), ...many('alarm', 3), ...many('submission', 2)]);
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    const { epoch } = outbox;
    await eventually(() => running.uplink.status.acknowledged === 305, 'the broker has acknowledged everything');
    expect(depth(outbox)).toBe(305);
    expect(running.uplink.status).toMatchObject({ custody: 'consumer', acks: { accepted: 0, refused: 0 } });
    await eventually(() => consumer.has(epoch, 'event') === 300, 'the consumer has everything');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    expect(running.uplink.status.acks).toMatchObject({ accepted: 1, refused: 0 });
    await outbox.append([event('event', 301), event('alarm', 4)]);
    await eventually(() => consumer.has(epoch, 'event') === 301 && consumer.has(epoch, 'alarm') === 4, 'more came');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty again');
    expect(consumer.duplicates).toBe(0);
    expect(watcher.states()[0]).toMatchObject({ custody: 'consumer', online: true });
    expect(watcher.states()[0]?.['epochs']).toMatchObject({ [epoch]: { event: { first: '1', last: '300' } } });
    expect(running.codes()).toEqual([]);
  });

  it('is not moved by anything that is unsigned, foreign, older, from the future or garbled', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using consumer = await TestConsumer.connect(broker.url);
    await outbox.append(many('event', 100));
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    const { epoch } = outbox;
    await eventually(() => consumer.has(epoch, 'event') === 100, 'the consumer has everything');
    const refused = async (count: number, refusal: string): Promise<void> => {
      await eventually(() => running.uplink.status.acks?.refused === count, `${refusal} is refused`);
      expect(running.uplink.status.acks?.lastRefusal).toBe(refusal);
      expect(running.codes()).toContain('ack-refused');
      expect(depth(outbox)).toBe(100);
    };
    const all = ackOf(epoch, 'event', { upto: 100, missing: [] });
    const stranger = signerOf(newKey().privatePem);
    await consumer.say(all, stranger.sign);
    await refused(1, 'not-believed');
    await consumer.say({ ...all, device: 'robot-08' });
    await refused(2, 'other-device');
    const plain = JSON.stringify({ epochs: { [epoch]: { event: { upto: '100' } } } });
    await consumer.publish(plain);
    await refused(3, 'unsigned');
    await consumer.publish(Buffer.from([0xff, 0xfe, 0x00]));
    await refused(4, 'not-utf-8');
    await consumer.publish('{"epochs":');
    await refused(5, 'not-json');
    await consumer.publish('x'.repeat(200_000));
    await refused(6, 'too-large');
    await consumer.say(ackOf(epoch, 'event', { upto: 101, missing: [] }));
    await refused(7, 'ahead');
    await consumer.say(ackOf('0123456789abcdef', 'event', { upto: 100, missing: [] }));
    await eventually(() => running.uplink.status.acks?.accepted === 2, 'another epoch is heard');
    expect(depth(outbox)).toBe(100);

    await consumer.say(ackOf(epoch, 'event', { upto: 60, missing: [[10, 19]] }));
    await eventually(() => depth(outbox) === 50, 'what is committed is removed');
    expect(running.codes()).toEqual([]);
    await consumer.say(ackOf(epoch, 'event', { upto: 5, missing: [] }));
    await consumer.say(ackOf(epoch, 'event', { upto: 55, missing: [[1, 20]] }));
    await eventually(() => running.uplink.status.acks?.accepted === 5, 'the older ones are heard');
    expect(outbox.state.event).toMatchObject({ depth: 50, firstSeq: 10 });
    await consumer.say(all);
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
  });

  it('is not moved by replays, before and after a restart, nor by thousands of messages at once', async () => {
    await using broker = await Mosquitto.start();
    await using consumer = await TestConsumer.connect(broker.url);
    const consumers = [consumer.signer.publicBase64];
    let replayed: Buffer = Buffer.alloc(0);
    {
      await using outbox = await openStore(folder);
      await outbox.append(many('event', 50));
      await using running = startUplink(outbox, { url: broker.url, consumers });
      await eventually(() => consumer.has(outbox.epoch, 'event') === 50, 'the consumer has everything');
      replayed = encodeAck(ackOf(outbox.epoch, 'event', { upto: 50, missing: [[10, 19]] }), consumer.signer.sign);
      await consumer.publish(replayed);
      await eventually(() => depth(outbox) === 10, 'what is committed is removed');
      for (let n = 0; n < 3; n += 1) await consumer.publish(replayed);
      await eventually(() => (running.uplink.status.acks?.accepted ?? 0) >= 2, 'the replays are heard');
      expect(outbox.state.event).toMatchObject({ depth: 10, firstSeq: 10 });
    }
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 5, 51));
    await using running = startUplink(outbox, { url: broker.url, consumers });
    await eventually(() => (running.uplink.status.acks?.accepted ?? 0) >= 1, 'the retained one is heard');
    const garbage = Buffer.concat([Buffer.from('{"epochs":{'), Buffer.alloc(100_000, 0xfe)]);
    const ranges = Array.from({ length: 5_000 }, (_none, n) => [String(4 * n + 1), String(4 * n + 2)]);
    const huge = JSON.stringify({ epochs: { [outbox.epoch]: { event: { upto: '20010', missing: ranges } } } });
    await Promise.all(
      Array.from({ length: 2_000 }, async (_none, n) => {
        await consumer.publish([replayed, garbage, huge][n % 3] ?? '');
      }),
    );
    expect(depth(outbox)).toBe(15);
    await eventually(() => consumer.has(outbox.epoch, 'event') === 55, 'the consumer has everything');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
  });

  it('sends again what the consumer lacks, and nothing else', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using consumer = await TestConsumer.connect(broker.url);
    await outbox.append(many('event', 640));
    let [publishes, lost] = [0, 0];
    consumer.loses = (text) => {
      const events = (text.startsWith('[') ? JSON.parse(text) : []) as readonly unknown[];
      publishes += events.length > 0 ? 1 : 0;
      const isLost = publishes === 3 || publishes === 6;
      if (isLost) lost += events.length;
      return isLost;
    };
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    await eventually(async () => {
      await consumer.say();
      return depth(outbox) === 0;
    }, 'the outbox is empty');
    expect(consumer.has(outbox.epoch, 'event')).toBe(640);
    expect(lost).toBeGreaterThan(1);
    expect(consumer.duplicates).toBe(0);
    expect(running.uplink.status.published).toBe(640 + lost);
  });

  it('survives a broker that forgets what it acknowledged', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'autosave_interval 0']);
    await using outbox = await openStore(folder);
    // A consumer with a kept session that is away: the broker acknowledges, and holds.
    {
      await using away = await TestConsumer.connect(broker.url, { clean: false });
      expect(away.duplicates).toBe(0);
    }
    const key = newKey();
    await outbox.append(many('event', 500));
    await using running = startUplink(outbox, { url: broker.url, consumers: [key.publicBase64] });
    await eventually(() => running.uplink.status.acknowledged === 500, 'the broker has acknowledged everything');
    await broker.kill();
    await broker.restart();
    expect(depth(outbox)).toBe(500);
    await using consumer = await TestConsumer.connect(broker.url, { clean: false });
    await eventually(() => consumer.has(outbox.epoch, 'event') === 500, 'everything is sent again');
    await consumer.say(consumer.ack(), signerOf(key.privatePem).sign);
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
  });

  it('hears on its first connection what was committed while it was away', async () => {
    await using broker = await Mosquitto.start();
    await using consumer = await TestConsumer.connect(broker.url);
    const consumers = [consumer.signer.publicBase64];
    {
      await using outbox = await openStore(folder);
      await outbox.append(many('event', 50));
      await using running = startUplink(outbox, { url: broker.url, consumers });
      expect(running.uplink.custody).toBe('consumer');
      await eventually(() => consumer.has(outbox.epoch, 'event') === 50, 'the consumer has everything');
    }
    await consumer.say();
    await using outbox = await openStore(folder);
    expect(depth(outbox)).toBe(50);
    await using running = startUplink(outbox, { url: broker.url, consumers });
    await eventually(() => depth(outbox) === 0, 'the retained word is enough');
    expect(running.uplink.status.acks).toMatchObject({ accepted: 1 });
  });
});

describeWith('custody by the consumer, over aedes (MQTT 3.1.1)', [], () => {
  it('removes on the signed word of the consumer', async () => {
    await using broker = await startAedes();
    await using outbox = await openStore(folder);
    await using consumer = await TestConsumer.connect(broker.url);
    await outbox.append([...many('event', 300), ...many('alarm', 3)]);
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    await eventually(() => consumer.has(outbox.epoch, 'event') === 300, 'the consumer has everything');
    await eventually(() => running.uplink.status.acknowledged === 303, 'the broker has acknowledged everything');
    expect(depth(outbox)).toBe(303);
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
  });

  it('asks again for a subscription that was refused, on the same line', async () => {
    let asked = 0;
    await using broker = await startAedes((aedes) => {
      aedes.authorizeSubscribe = (_client, subscription, callback) => {
        const isRefused = subscription.topic.endsWith('/down/ack') && (asked += 1) === 1;
        callback(null, isRefused ? null : subscription);
      };
    });
    await using outbox = await openStore(folder);
    await using consumer = await TestConsumer.connect(broker.url);
    await outbox.append(many('event', 10));
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    await eventually(() => running.codes().includes('uplink-deaf'), 'the refusal is said');
    await eventually(() => consumer.has(outbox.epoch, 'event') === 10, 'the consumer has everything');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'it hears, and the outbox is empty');
    expect(asked).toBe(2);
    expect(running.codes()).toEqual([]);
    expect(running.uplink.status.lastError).toBeUndefined();
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IClientOptions } from 'mqtt';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestConsumer } from '#agent/testing/consumer.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { forgedEpoch, intrude } from '#agent/testing/intruder.ts';
import { NatsCluster, natsPassword } from '#agent/testing/nats.ts';
import { RabbitMq, rabbitPassword } from '#agent/testing/rabbitmq.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, many, openStore, startUplink } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-clusters-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const sink = (password: string): IClientOptions => ({ clientId: 'outpost-sink-1', username: 'outpost-sink', password });

/** The example's rights: what a device must be able to do, and its neighbour's topics tried. */
async function deliversAndIsConfined(url: string, password: string): Promise<void> {
  await using outbox = await openStore(folder);
  await using consumer = await TestConsumer.connect(url, sink(password));
  await outbox.append([...many('event', 300), ...many('alarm', 3)]);
  const consumers = [consumer.signer.publicBase64];
  const { epoch } = outbox;
  {
    await using running = startUplink(outbox, { url, username: 'robot-07', password, consumers });
    await eventually(() => consumer.has(epoch, 'event') === 300 && consumer.has(epoch, 'alarm') === 3, 'it is there');
    expect(running.uplink.status).toMatchObject({ protocol: '3.1.1', custody: 'consumer' });
    expect(depth(outbox)).toBe(303);
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    expect(running.codes()).toEqual([]);
  }
  expect(await consumer.hearsDown('robot-09')).toEqual(['down/cmd', 'down/desired']);
  const before = consumer.has(epoch, 'event');
  expect(await intrude(url, { username: 'robot-08', password })).toEqual([]);
  await consumer.say();
  expect(consumer.committed.has(forgedEpoch)).toBe(false);
  expect(consumer.has(epoch, 'event')).toBe(before);
}

describeWith('a NATS cluster of three, by the example', [needsProgram('nats-server')], () => {
  it(
    'delivers, keeps the neighbour out, and goes on when one of the three is killed',
    { timeout: 240_000 },
    async () => {
      await using cluster = await NatsCluster.start();
      await deliversAndIsConfined(cluster.url(0), natsPassword);
      await using outbox = await openStore(folder);
      await using consumer = await TestConsumer.connect(cluster.url(1), sink(natsPassword));
      const consumers = [consumer.signer.publicBase64];
      const uplink = { url: cluster.url(0), username: 'robot-07', password: natsPassword, consumers };
      await using running = startUplink(outbox, uplink);
      await eventually(() => running.uplink.status.connected, 'connected');
      const last = outbox.state.event.lastSeq;
      for (let hundred = 0; hundred < 20; hundred += 1) {
        await outbox.append(many('event', 100));
        if (hundred === 5) await cluster.kill(2);
      }
      await eventually(async () => {
        await consumer.say();
        return depth(outbox) === 0;
      }, 'everything is committed without the third');
      expect(consumer.has(outbox.epoch, 'event')).toBe(2_000);
      expect(last + 2_000).toBe(outbox.state.event.lastSeq);
    },
  );
});

describeWith('RabbitMQ 3.10, by the example', [needsProgram('rabbitmq-server')], () => {
  it('delivers, and keeps the neighbour out', { timeout: 240_000 }, async () => {
    await using broker = await RabbitMq.start();
    await deliversAndIsConfined(broker.url, rabbitPassword);
  });
});

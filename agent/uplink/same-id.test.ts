import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OutpostError } from '#agent/core/errors.ts';
import { Mosquitto, TestSubscriber } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { SameId } from './same-id.ts';
import { event, many, openStore, seqs, startUplink, upTo } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-same-id-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('another client with this id', () => {
  const orderly = new OutpostError('broker-closed', undefined, { context: { orderly: true } });

  it('is believed at once when MQTT 5 says so', () => {
    expect(new SameId().ended(new OutpostError('broker-taken-over'), 0)).toContain('142');
  });

  it('is suspected of 3.1.1 when working lines are ended in good order again and again', () => {
    const sameId = new SameId();
    expect([0, 10_000, 20_000].map((at) => sameId.ended(orderly, at))).toEqual([undefined, undefined, undefined]);
    expect(sameId.ended(orderly, 30_000)).toContain('4 times');
  });

  it('is not suspected of silence, resets, or a broker that is restarted now and then', () => {
    const sameId = new SameId();
    for (let n = 0; n < 20; n += 1) {
      expect(sameId.ended(new OutpostError('broker-silent'), n)).toBeUndefined();
      expect(sameId.ended(new OutpostError('broker-closed'), n)).toBeUndefined();
      expect(sameId.ended(orderly, n * 300_000)).toBeUndefined();
    }
  });
});

describeWith('two devices with one id, over mosquitto', [needsProgram('mosquitto')], () => {
  it('both say so, and neither loses an event', async () => {
    await using broker = await Mosquitto.start();
    await using subscriber = await TestSubscriber.connect(broker.url);
    await using one = await openStore(join(folder, 'one'));
    await using other = await openStore(join(folder, 'other'));
    await one.append(many('event', 20));
    await other.append(many('event', 30));
    await using first = startUplink(one, { url: broker.url });
    await eventually(() => first.uplink.status.connected, 'the first is connected');
    await using second = startUplink(other, { url: broker.url });
    await eventually(() => first.codes().includes('device-twice'), 'the first says so');
    await eventually(() => second.codes().includes('device-twice'), 'the second says so');
    await one.append([event('event', 21)]);
    const of = (epoch: string) => seqs(subscriber.events('event').filter((received) => received['epoch'] === epoch));
    await eventually(() => of(one.epoch).length === 21 && of(other.epoch).length === 30, 'everything is there');
    expect(of(one.epoch)).toEqual(upTo(21));
  });
});

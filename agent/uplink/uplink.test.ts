import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Log } from '#agent/core/log.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { Mosquitto, startAedes, TestSubscriber } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, event, many, openStore, seqs, startUplink, upTo } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-uplink-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Waits until exactly these numbers of a lane have arrived, once or more often. */
const arrive = async (subscriber: TestSubscriber, lane: Lane, numbers: readonly number[]): Promise<void> => {
  await eventually(() => seqs(subscriber.events(lane)).length >= numbers.length, `lane ${lane} arrived`);
  expect(seqs(subscriber.events(lane))).toEqual(numbers);
};
/** What every broker must show. */
async function deliversEverything(url: string, protocol: string): Promise<void> {
  await using outbox = await openStore(folder);
  await outbox.append([...many('event', 300), ...many('telemetry', 5), ...many('alarm', 3)]);
  await using subscriber = await TestSubscriber.connect(url);
  {
    await using running = startUplink(outbox, { url });
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    await outbox.append([event('event', 301)]);
    await eventually(() => subscriber.events('event').length >= 301, 'all events arrived');
    await eventually(() => running.uplink.status.acknowledged === 309, 'all acknowledgements are counted');
    expect(running.uplink.status).toMatchObject({ connected: true, alarmConnected: true, protocol, custody: 'broker' });
    expect(running.health.entries()).toEqual([]);
  }
  const arrived = subscriber.events();
  expect(arrived.map(checkEvent).filter((problem) => problem !== undefined)).toEqual([]);
  expect(subscriber.events('event').map(({ seq }) => Number(seq))).toEqual(upTo(301));
  expect(subscriber.events('alarm').map(({ seq }) => seq)).toEqual(['1', '2', '3']);
  const alarms = subscriber.received.filter(({ topic }) => topic === 'outpost/v1/robot-07/up/alarm');
  expect(alarms.every(({ text }) => text.startsWith('{'))).toBe(true);
  const batches = subscriber.received.filter(({ topic }) => topic === 'outpost/v1/robot-07/up/event');
  // 4 KB at a time until the line has shown what it carries
  expect(batches.length).toBeLessThan(301 / 8);
  await eventually(() => subscriber.states().at(-1)?.['online'] === false, 'offline was said');
  expect(subscriber.states()[0]).toMatchObject({
    online: true,
    device: 'robot-07',
    epoch: outbox.epoch,
    boot: '1',
    protocol,
    custody: 'broker',
    health: { conditions: [] },
  });
  const last = subscriber.states().at(-1) as { lanes: Record<string, Record<string, number>> } | undefined;
  expect(last?.lanes['event']).toMatchObject({ depth: 0, bytes: 0 });
  expect(last?.lanes['event']?.['leftPerSecond']).toBe(last?.lanes['event']?.['appendedPerSecond']);
  expect(last?.lanes['event']?.['leftPerSecond']).toBeGreaterThan(0);
  expect(last?.lanes['media']).toBeUndefined();
  expect(subscriber.states().at(-1)?.['epochs']).toMatchObject({
    [outbox.epoch]: { event: { first: '302', last: '301' }, alarm: { first: '4', last: '3' } },
  });
}

describeWith('the uplink and mosquitto (MQTT 5)', [needsProgram('mosquitto')], () => {
  it('delivers everything, in order, checked, and says that it is here and gone', async () => {
    await using broker = await Mosquitto.start();
    await deliversEverything(broker.url, '5');
  });

  it('keeps to a receive maximum of two and sets content types', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'max_inflight_messages 2']);
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 500));
    await outbox.append([event('audit', 1)]);
    await using subscriber = await TestSubscriber.connect(broker.url, '#', { protocolVersion: 5 });
    await using running = startUplink(outbox, { url: broker.url });
    await eventually(() => subscriber.events().length >= 501, 'all events arrived');
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    expect(running.uplink.status.acknowledged).toBe(501);
    const types = new Map(subscriber.received.map(({ topic, contentType }) => [topic.split('/').at(-1), contentType]));
    expect(types.get('event')).toBe('application/cloudevents-batch+json');
    expect(types.get('audit')).toBe('application/cloudevents+json');
    expect(types.get('state')).toBe('application/json');
  });

  it('loses nothing when the broker is killed and comes back', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await using running = startUplink(outbox, { url: broker.url });
    await eventually(() => running.uplink.status.connected, 'connected');
    await outbox.append(many('event', 2000));
    await eventually(() => subscriber.events('event').length > 0, 'the first arrived');
    await broker.kill();
    await outbox.append(many('event', 1000, 2001));
    await eventually(() => running.health.entries().some(({ code }) => code === 'uplink-down'), 'the line is down');
    await eventually(() => !running.uplink.status.connected, 'the main line is down, too');
    await broker.restart();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty again');
    await eventually(() => running.health.worst() === 'ok', 'health is clean again');
    // What the broker had acknowledged and lost is custody `consumer`'s to find; from what is queued nothing is missing.
    await eventually(
      () => seqs(subscriber.events('event')).filter((seq) => seq > 2000).length >= 1000,
      'what was appended without a broker arrived',
    );
  });

  it('keeps what nobody subscribes to, and delivers it when somebody does', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 70));
    await using running = startUplink(outbox, { url: broker.url });
    const told = await eventually(
      () => running.health.entries().find(({ code }) => code === 'uplink-undelivered'),
      'nobody is there',
    );
    expect(told.detail).toContain('broker-no-subscriber');
    expect(outbox.state.event.depth).toBe(70);
    expect(running.uplink.status.acknowledged).toBe(0);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    await arrive(subscriber, 'event', upTo(70));
    await eventually(() => running.health.worst() === 'ok', 'health is clean again');
  });

  it('finds a broker that froze within one and a half keep-alives, and goes on when it is back', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await using running = startUplink(outbox, { url: broker.url, keepalive: '1s' });
    await eventually(() => running.uplink.status.connected, 'connected');
    broker.freeze();
    await outbox.append(many('event', 10));
    await eventually(() => running.uplink.status.lastError?.code === 'broker-silent', 'the silence was noticed');
    expect(outbox.state.event.depth).toBe(10);
    broker.thaw();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    await arrive(subscriber, 'event', upTo(10));
  });

  it('leaves the will when it is cut off', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await using running = startUplink(outbox, { url: broker.url });
    await eventually(() => subscriber.states().length > 0, 'online was said');
    // Another client with the same id: the broker ends the first one, and its will is published.
    await using copy = await TestSubscriber.connect(broker.url, 'none', { clientId: 'robot-07', protocolVersion: 5 });
    await eventually(() => subscriber.states().some(({ online }) => online === false), 'the will was published');
    await eventually(() => running.uplink.status.lastError !== undefined, 'the cut was noticed');
    expect(copy.received).toEqual([]);
  });

  it('says what is wrong with the credentials, and never says them', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous false', 'password_file {folder}/passwords'], {
      passwords: '',
    });
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 3));
    const lines: string[] = [];
    const log: Log = {
      debug: (sentence, fields) => void lines.push(sentence + JSON.stringify(fields)),
      info: (sentence, fields) => void lines.push(sentence + JSON.stringify(fields)),
      warn: (sentence, fields) => void lines.push(sentence + JSON.stringify(fields) + String(fields?.['error'])),
      error: (sentence, fields) => void lines.push(sentence + JSON.stringify(fields)),
      with: (fields) => {
        lines.push(JSON.stringify(fields));
        return log;
      },
    };
    const { url } = broker;
    await using running = startUplink(outbox, { url, username: 'robot-user', password: 'hunter-two' }, log);
    const error = await eventually(() => running.uplink.status.lastError, 'the refusal is told');
    expect(error.code).toBe('broker-credentials');
    expect(running.health.entries()[0]?.detail).toContain('broker-credentials');
    expect(outbox.state.event.depth).toBe(3);
    const said = lines.join('\n') + JSON.stringify(running.uplink.status) + JSON.stringify(running.health.entries());
    expect(said).toContain('broker');
    expect(said).not.toMatch(/hunter-two|robot-user/);
  });

  it('sets an event aside that is larger than the broker takes, declares it, and delivers the others', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'max_packet_size 20000']);
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await outbox.append([...many('event', 3), event('event', 4, 'x'.repeat(30_000)), ...many('event', 3, 5)]);
    await using running = startUplink(outbox, { url: broker.url });
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    await arrive(subscriber, 'event', [1, 2, 3, 5, 6, 7]);
    await eventually(() => subscriber.events('audit').length === 1, 'it is declared');
    expect(subscriber.events('audit')[0]).toMatchObject({
      type: 'outpost.dropped',
      data: { lane: 'event', first: '4', last: '4', count: 1, reason: 'poison' },
    });
    expect(running.uplink.status.poison).toBe(1);
    expect(running.codes()).toContain('uplink-poison');
  });

  it('keeps events that the access list forbids, and delivers the others', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'acl_file {folder}/acl'], {
      acl: 'topic readwrite outpost/v1/robot-07/up/event\ntopic readwrite outpost/v1/robot-07/up/state\ntopic read #\n',
    });
    await using outbox = await openStore(folder);
    await using subscriber = await TestSubscriber.connect(broker.url);
    await outbox.append([...many('telemetry', 5), ...many('event', 5)]);
    await using running = startUplink(outbox, { url: broker.url });
    await eventually(() => outbox.state.event.depth === 0, 'what is allowed is delivered');
    await eventually(
      () => running.health.entries().some(({ detail }) => detail.includes('broker-refuses-events, MQTT 135')),
      'the refusal is told',
    );
    expect(outbox.state.telemetry.depth).toBe(5);
    await arrive(subscriber, 'event', upTo(5));
  });
});

describe('the uplink and aedes (MQTT 3.1.1)', () => {
  it('falls back by itself and delivers everything', async () => {
    await using broker = await startAedes();
    await deliversEverything(broker.url, '3.1.1');
  });

  it('says so when 5 is demanded', async () => {
    await using broker = await startAedes();
    await using outbox = await openStore(folder);
    await using running = startUplink(outbox, { url: broker.url, protocol: '5' });
    const error = await eventually(() => running.uplink.status.lastError, 'the refusal is told');
    expect(['broker-protocol', 'broker-closed', 'broker-refused']).toContain(error.code);
  });
});

describe('the uplink without a broker that works', () => {
  it('rests when none is configured, and ends when asked', async () => {
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 2));
    await using running = startUplink(outbox, {});
    expect(running.uplink.status).toMatchObject({ connected: false, broker: undefined });
    expect(outbox.state.event.depth).toBe(2);
  });

  it('tells a broker that is down from one that closes at once, and from one without TLS', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 2));
    const told = async (config: Record<string, unknown>): Promise<string | undefined> => {
      await using running = startUplink(outbox, config);
      return (await eventually(() => running.uplink.status.lastError, 'the failure is told')).code;
    };
    expect(await told({ url: `mqtt://127.0.0.1:${port}` })).toBe('broker-closed');
    expect(await told({ url: `mqtts://127.0.0.1:${port}` })).toMatch(/broker-(tls|closed)/);
    expect(await told({ url: `mqtts://127.0.0.1:${port}`, ca: '/nowhere/ca.pem' })).toBe('uplink-file');
    await new Promise((resolve) => server.close(resolve));
    expect(await told({ url: `mqtt://127.0.0.1:${port}` })).toBe('broker-unreachable');
    expect(outbox.state.event.depth).toBe(2);
  });
});

import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import type { OutpostError } from '#agent/core/errors.ts';
import { type Log, silentLog } from '#agent/core/log.ts';
import { connectMqtt, type MqttLine } from '#agent/core/mqtt.ts';
import { systemRandom } from '#agent/core/random.ts';
import { openSqlite } from '#agent/core/sqlite.ts';
import { parseAck, type LaneAck } from '#agent/domain/ack.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { Mosquitto, startAedes, type TestBroker } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsPostgres, Postgres } from '#agent/testing/postgres.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { newKey, signerOf, trustedKeys } from '#agent/trust/keys.ts';
import type { SinkDatabase } from './database.ts';
import { openDatabase } from './open-database.ts';
import { serveMetrics } from './metrics.ts';
import { parsePartition, takes } from './partition.ts';
import { runSink, type SinkOptions } from './sink.ts';
import { SinkStatus } from './status.ts';
import { epochA, eventText, range, topicOf } from './test-rig.ts';

const key = newKey();
let folder: string;
const endings: (() => Promise<void>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-sink-'));
});
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly status: SinkStatus;
  readonly database: SinkDatabase;
}

async function start(
  broker: TestBroker,
  url: string,
  change: Partial<SinkOptions> & { name?: string } = {},
): Promise<Running> {
  const database = await openDatabase(url, 'migrate');
  const status = new SinkStatus();
  const stop = new AbortController();
  const clientId = change.name ?? `sink-${endings.length}`;
  const running = runSink(
    {
      database,
      broker: {
        url: broker.url,
        clientId,
        group: change.partition ? undefined : 'g',
        root: 'outpost/v1',
        sessionSeconds: change.name === undefined ? undefined : 600,
      },
      sign: signerOf(key.privatePem).sign,
      status,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      ...change,
    },
    stop.signal,
  );
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
    await database[Symbol.asyncDispose]();
  };
  endings.push(end);
  await eventually(() => status.broker !== undefined || status.brokerError, 'the subscriptions stand');
  return { status, database };
}

/** A device that publishes what it is told to, and keeps what it is told. */
class Device {
  readonly #line: MqttLine;
  readonly #believes = trustedKeys([key.publicBase64]);
  readonly id: string;
  readonly lanes = new Map<string, LaneAck>();
  acks = 0;

  private constructor(line: MqttLine, id: string) {
    this.#line = line;
    this.id = id;
  }

  static async connect(broker: TestBroker, id = 'robot-07', version: '5' | '3.1.1' = '5'): Promise<Device> {
    let device: Device | undefined;
    const line = await connectMqtt(
      {
        url: broker.url,
        clientId: id,
        version,
        keepaliveMs: 30_000,
        connectTimeoutMs: 5_000,
        clock: systemClock,
        receive: (message) => {
          device?.hear(message.payload);
          message.acknowledge();
          return undefined;
        },
      },
      new AbortController().signal,
    );
    device = new Device(line, id);
    await line.subscribe([`outpost/v1/${id}/down/ack`]);
    endings.push(async () => await Promise.resolve(line.destroy()));
    return device;
  }

  hear(payload: Buffer): void {
    const read = parseAck(payload, this.id);
    if (typeof read === 'string') throw new Error(read);
    expect(this.#believes(read.signed, read.signature)).toBe(true);
    this.acks += 1;
    for (const [epoch, lanes] of read.ack.epochs)
      for (const [lane, ack] of lanes) this.lanes.set(`${epoch} ${lane}`, ack);
  }

  async send(seqs: readonly number[], lane: Lane = 'event', detail = ''): Promise<void> {
    const text = seqs.map((seq) => eventText(seq, { device: this.id, lane, detail })).join(',');
    await this.publish(lane, `[${text}]`);
  }

  async publish(name: string, payload: string | Buffer): Promise<void> {
    expect(await this.#line.publish(topicOf(this.id, name), payload)).toBe(0);
  }

  upto(lane: Lane = 'event'): LaneAck | undefined {
    return this.lanes.get(`${epochA} ${lane}`);
  }
}

const sqliteUrl = (): string => `sqlite:${join(folder, 'sink.db')}`;

describeWith('a sink', [needsProgram('mosquitto')], () => {
  it('stores what comes, and tells the device with a signature, retained', async () => {
    await using broker = await Mosquitto.start();
    const { status, database } = await start(broker, sqliteUrl());
    const device = await Device.connect(broker);
    await device.send(range(1, 64));
    await device.send([66, 67]);
    await device.publish('alarm', eventText(1, { lane: 'alarm' }));
    await eventually(() => device.upto()?.upto === 67 && device.upto('alarm')?.upto === 1, 'acknowledgements');
    expect(device.upto()?.missing).toEqual([[65, 65]]);
    expect(status.counts).toMatchObject({ stored: 67, publishes: 3, rejected: 0 });
    expect(await database.tally()).toHaveLength(2);
    // it was away, and hears
    const late = await Device.connect(broker, 'robot-07');
    await eventually(() => late.upto()?.upto === 67, 'what is retained');
    // what is known already is told again: the device did not know
    const before = late.acks;
    await late.send([65, 66]);
    await eventually(() => late.acks > before && late.upto()?.missing.length === 0, 'told again');
    expect(status.counts).toMatchObject({ stored: 68, duplicates: 1 });
  });

  it('sets aside what is no event, and says two contents of one number loudly', async () => {
    await using broker = await Mosquitto.start();
    const said: string[] = [];
    const log: Log = {
      ...silentLog,
      error: (sentence) => said.push(sentence),
      warn: (sentence) => said.push(sentence),
    };
    const { status } = await start(broker, sqliteUrl(), { log });
    const device = await Device.connect(broker);
    const stranger = await Device.connect(broker, 'NOT-AN-ID');
    await device.publish('event', Buffer.from([0xff, 0xfe, 0x00]));
    await device.publish('event', '{"half":');
    await device.publish('state', 'I am fine');
    await stranger.publish('event', eventText(1));
    await device.publish('event', Buffer.alloc(2 * 1024 * 1024, 0x5b));
    await device.send([1]);
    await eventually(() => device.upto()?.upto === 1, 'the event behind it');
    await device.send([1], 'event', 'other');
    await eventually(() => status.counts.conflicts === 1, 'the conflict');
    expect(status.counts).toMatchObject({ stored: 1, duplicates: 1, rejected: 5 });
    expect(said).toContain('One number came with two contents; the first is kept, the other is set aside.');
    expect(said).toContain('What is no event was set aside.');
  });

  it('records who is there, and tells who waits for what is committed', async () => {
    await using broker = await Mosquitto.start();
    const { status, database } = await start(broker, sqliteUrl());
    const device = await Device.connect(broker);
    await device.send(range(1, 5));
    await eventually(() => device.acks === 1, 'the acknowledgement');
    const state = {
      online: true,
      device: 'robot-07',
      epoch: epochA,
      epochs: { [epochA]: { event: { first: '3', last: '9', depth: 7 } } },
    };
    await device.publish('state', JSON.stringify(state));
    await eventually(() => device.acks === 2, 'told again');
    expect((await database.tally())[0]?.told).toEqual({ first: 3, last: 9, depth: 7 });
    expect(status.counts.rejected).toBe(0);
  });

  it('acknowledges nothing while the database is locked, and goes on alone', async () => {
    await using broker = await Mosquitto.start();
    const { status } = await start(broker, sqliteUrl());
    const device = await Device.connect(broker);
    await device.send([1]);
    await eventually(() => device.upto()?.upto === 1, 'the first');
    const other = openSqlite(join(folder, 'sink.db'), { busyMs: 0 });
    other.exec('BEGIN IMMEDIATE');
    await device.send(range(2, 20));
    await eventually(() => status.databaseError?.code === 'sink-database-locked', 'it is said');
    expect(device.acks).toBe(1);
    other.exec('ROLLBACK');
    other.close();
    await eventually(() => device.upto()?.upto === 20, 'the rest');
    expect(status.databaseError).toBeUndefined();
  });

  it('takes up what waits when the broker was restarted', async () => {
    await using broker = await Mosquitto.start();
    const { status } = await start(broker, sqliteUrl(), { name: 'sink-one' });
    const before = await Device.connect(broker);
    await before.send([1, 2]);
    await eventually(() => status.counts.stored === 2, 'the first');
    await broker.kill();
    await eventually(() => status.brokerError !== undefined, 'it is said');
    await broker.restart();
    await eventually(() => status.broker !== undefined, 'subscribed again');
    const after = await Device.connect(broker);
    await after.send(range(1, 4));
    await eventually(() => after.upto()?.upto === 4, 'all');
    expect(status.counts).toMatchObject({ stored: 4, duplicates: 2 });
  });

  it('shares the load with others', async () => {
    await using broker = await Mosquitto.start();
    const both = [await start(broker, sqliteUrl()), await start(broker, sqliteUrl())];
    const devices = await Promise.all(range(1, 4).map(async (n) => await Device.connect(broker, `d-${n}`)));
    await Promise.all(
      devices.map(async (device) => {
        for (const n of range(0, 19)) await device.send(range(n * 10 + 1, n * 10 + 10));
      }),
    );
    await eventually(
      () => devices.every((device) => device.upto()?.upto === 200 && device.upto()?.missing.length === 0),
      'all is told',
    );
    expect(both.map(({ status }) => status.counts.stored).reduce((a, b) => a + b)).toBe(800);
    for (const { status } of both) expect(status.counts.stored).toBeGreaterThan(0);
  });

  it('shows its state to Prometheus', async () => {
    await using broker = await Mosquitto.start();
    const { status } = await start(broker, sqliteUrl());
    await using metrics = await serveMetrics(status, '127.0.0.1', 0);
    const device = await Device.connect(broker);
    await device.send([1, 2, 3]);
    await eventually(() => device.acks === 1, 'the acknowledgement');
    const text = await (await fetch(`http://127.0.0.1:${metrics.port}/metrics`)).text();
    for (const line of [
      'outpost_sink_stored_total 3',
      'outpost_sink_broker_connected 1',
      'outpost_sink_database_up 1',
      'outpost_sink_round_events_sum 3',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect((await fetch(`http://127.0.0.1:${metrics.port}/`)).status).toBe(404);
    await expect(serveMetrics(new SinkStatus(), '127.0.0.1', metrics.port)).rejects.toMatchObject({
      code: 'sink-metrics-port',
    });
  });
});

describe('a sink without shared subscriptions (aedes, MQTT 3.1.1)', () => {
  it('takes its part of the devices', async () => {
    await using broker = await startAedes();
    const parts = range(1, 2).map((index) => ({ index, of: 2 }));
    const sinks = [];
    for (const partition of parts) sinks.push(await start(broker, sqliteUrl(), { partition }));
    const devices = await Promise.all(range(1, 8).map(async (n) => await Device.connect(broker, `d-${n}`, '3.1.1')));
    for (const device of devices) await device.send([1, 2, 3]);
    await eventually(() => devices.every((device) => device.upto()?.upto === 3), 'all is told');
    const stored = sinks.map(({ status }) => status.counts.stored);
    expect(stored).toEqual(parts.map((part) => 3 * devices.filter(({ id }) => takes(part, id)).length));
    expect(sinks.map(({ status }) => status.counts.duplicates)).toEqual([0, 0]);
    expect(Math.min(...stored)).toBeGreaterThan(0);
  });

  it('takes another line when the broker answers pings and never an acknowledgement', async () => {
    const sinks: unknown[] = [];
    await using broker = await startAedes((aedes) => {
      aedes.authorizePublish = (client, { topic }, callback) => {
        if (topic.endsWith('/down/ack') && !sinks.includes(client)) sinks.push(client);
        // the first line's publish is owed its PUBACK for ever
        if (sinks.indexOf(client) !== 0) callback(null);
      };
    });
    const { status } = await start(broker, sqliteUrl(), {
      partition: { index: 1, of: 1 },
      clock: { ...systemClock, sleep: async (ms, signal) => await systemClock.sleep(Math.min(ms, 500), signal) },
    });
    const device = await Device.connect(broker, 'robot-07', '3.1.1');
    await device.send(range(1, 10));
    await eventually(() => device.upto()?.upto === 10, 'told on the second line');
    expect(sinks).toHaveLength(2);
    expect(status.counts.stored).toBe(10);
  });

  it('knows partitions by their text', () => {
    expect(parsePartition('2/4')).toEqual({ index: 2, of: 4 });
    for (const text of ['0/4', '5/4', '1', 'a/b', '1/0', '', '1/2/3']) expect(parsePartition(text)).toBeUndefined();
    for (const device of ['a', 'robot-07', 'kiosk-12']) {
      expect(range(1, 5).filter((index) => takes({ index, of: 5 }, device))).toHaveLength(1);
    }
  });
});

describeWith('a sink on PostgreSQL', [needsProgram('mosquitto'), needsPostgres], () => {
  it('goes on alone when the server was killed under load, and no event is there twice', async () => {
    await using broker = await Mosquitto.start();
    await using server = await Postgres.start();
    const sinks = [await start(broker, server.database('city')), await start(broker, server.url('city'))];
    const device = await Device.connect(broker);
    let sent = 0;
    const errors = new Set<OutpostError['code']>();
    const sending = (async () => {
      for (const n of range(0, 99)) {
        await device.send(range(n * 10 + 1, n * 10 + 10));
        sent += 10;
        for (const { status } of sinks) if (status.databaseError) errors.add(status.databaseError.code);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await eventually(() => sent >= 200, 'under way');
    await server.kill();
    await eventually(() => sinks.some(({ status }) => status.databaseError !== undefined), 'it is said');
    await server.restart();
    await sending;
    await eventually(() => device.upto()?.upto === 1_000 && device.upto()?.missing.length === 0, 'all is told');
    expect(server.query('city', 'SELECT count(*), count(DISTINCT (lane_id, seq)) FROM outpost_event')).toBe(
      '1000|1000',
    );
  });
});

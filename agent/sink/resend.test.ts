/** A device that was away is sent what it missed, whatever the broker forgot; garbage moves nobody, and nothing circles. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import { connectMqtt, type MqttLine } from '#agent/core/mqtt.ts';
import { systemRandom } from '#agent/core/random.ts';
import { Mosquitto, startAedes, type TestBroker } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { newKey, signerOf } from '#agent/trust/keys.ts';
import type { ResendLimits } from './database.ts';
import { openDatabase } from './open-database.ts';
import { runSink } from './sink.ts';
import { SinkStatus } from './status.ts';
import { answerText, commandMessage, desiredMessage, epochA } from './test-rig.ts';

let folder: string;
const endings: (() => Promise<void>)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-resend-'));
});
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
  await rm(folder, { recursive: true, force: true });
});

/** Once for each return. */
const once: ResendLimits = { graceMs: 0, leastMs: 0, times: 1 };

async function startSink(broker: TestBroker, version: 'shared' | 'alone' = 'shared') {
  const database = await openDatabase(`sqlite:${join(folder, 'sink.db')}`, 'migrate');
  const status = new SinkStatus();
  const stop = new AbortController();
  const running = runSink(
    {
      database,
      broker: {
        url: broker.url,
        clientId: `sink-${endings.length}`,
        group: version === 'shared' ? 'g' : undefined,
        root: 'outpost/v1',
      },
      sign: signerOf(newKey().privatePem).sign,
      status,
      resends: once,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    },
    stop.signal,
  );
  let ended = false;
  const end = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    stop.abort();
    await running;
    await database[Symbol.asyncDispose]();
  };
  endings.push(end);
  await eventually(() => status.broker !== undefined, 'the subscriptions stand');
  return { status, end };
}

/** Somebody at the broker; keeps what comes. */
async function connect(broker: TestBroker, clientId: string, version: '5' | '3.1.1', filters: readonly string[] = []) {
  const heard: string[] = [];
  const line: MqttLine = await connectMqtt(
    {
      url: broker.url,
      clientId,
      version,
      keepaliveMs: 30_000,
      connectTimeoutMs: 5_000,
      clock: systemClock,
      receive: (message) => {
        const { topic, payload } = message;
        heard.push(`${topic.split('/').slice(3).join('/')} ${payload.toString()}`);
        message.acknowledge();
        return undefined;
      },
    },
    new AbortController().signal,
  );
  if (filters.length > 0) await line.subscribe(filters);
  endings.push(async () => await Promise.resolve(line.destroy()));
  const say = async (topic: string, payload: string | Buffer, retain = false): Promise<void> => {
    await line.publish(`outpost/v1/robot-07/${topic}`, payload, { retain });
  };
  return { heard, say, line };
}

const device = async (broker: TestBroker, version: '5' | '3.1.1' = '5') =>
  await connect(broker, 'robot-07', version, ['outpost/v1/robot-07/down/desired', 'outpost/v1/robot-07/down/cmd']);

const state = (online: boolean, boot = '1'): string =>
  JSON.stringify({ online, device: 'robot-07', boot, epoch: epochA });

const soon = (): string => new Date(Date.now() + 3_600_000).toISOString();
const sorted = (texts: readonly string[]): string[] => [...texts].sort();

/** What every broker must show; `forget` makes it lose what is retained. */
async function sendsAgain(
  broker: TestBroker,
  version: '5' | '3.1.1',
  forget: (operator: MqttLine) => Promise<void>,
): Promise<void> {
  const mode = version === '5' ? 'shared' : 'alone';
  const first = await startSink(broker, mode);
  let operator = await connect(broker, 'operator', version);
  const [desired = '', a = '', b = ''] = [
    desiredMessage(7),
    commandMessage('a', soon()),
    commandMessage('b', soon()),
  ].map(String);
  const expired = commandMessage('c', Date.now() / 1_000 - 1);
  // the subscription of what goes down follows that of events
  await eventually(async () => {
    await operator.say('down/desired', desired, true);
    return first.status.counts.publishes > 0;
  }, 'the configuration is remembered');
  for (const command of [a, b, expired]) await operator.say('down/cmd', command);
  for (const garbage of ['', 'garbage', '{"payload":7}', Buffer.from([0xff, 0xfe])])
    await operator.say('down/cmd', garbage);
  await operator.say('down/desired', 'garbage');
  await operator.say('up/reported', '{"version":"x"}');
  await eventually(() => first.status.counts.garbled === 6, 'garbage is counted');
  await first.end();
  await forget(operator.line);
  operator = await connect(broker, 'operator-again', version);

  const { status } = await startSink(broker, mode);
  const robot = await device(broker, version);
  const all = sorted([`down/desired ${desired}`, `down/cmd ${a}`, `down/cmd ${b}`]);
  await robot.say('up/state', state(true));
  await eventually(() => robot.heard.length >= 3, 'everything is sent again');
  await eventually(() => status.counts.resent === 3, 'and counted');
  expect(sorted(robot.heard)).toEqual(all);

  // it says so again, and what we sent has come back to us: nothing circles
  await robot.say('up/state', state(true));
  await robot.say('up/event', answerText(1, 'a', 'accepted'));
  await robot.say('up/reported', JSON.stringify({ version: 7, phase: 'confirmed' }), true);
  await eventually(() => status.counts.stored === 1, 'the answer is stored');
  await robot.say('up/state', state(true));
  await robot.say('up/state', state(false));
  await robot.say('up/state', state(true, '2'));
  await eventually(() => status.counts.resent === 4, 'what is unanswered is sent after the next boot');
  await eventually(() => robot.heard.length === 4, 'it is heard');
  expect(robot.heard.at(-1)).toBe(`down/cmd ${b}`);
  // another configuration, while it is here and does not report
  await operator.say('down/desired', desiredMessage(8), true);
  await robot.say('up/event', answerText(2, 'b', 'failed'));
  await eventually(() => status.counts.stored === 2, 'both are answered');
  await robot.say('up/state', state(true, '2'));
  await eventually(() => status.counts.resent === 5, 'the new configuration is sent again');
  await robot.say('up/reported', JSON.stringify({ version: 8 }), true);
  await robot.say('up/state', state(false));
  await robot.say('up/state', state(true, '3'));
  await robot.say('up/event', answerText(3, 'x', 'unknown'));
  await eventually(() => status.counts.stored === 3, 'all that was said has had its effect');
  expect(status.counts).toMatchObject({ resent: 5, garbled: 0, rejected: 0 });
}

describeWith('a sink and a device that was away, over mosquitto (MQTT 5)', [needsProgram('mosquitto')], () => {
  it('sends it what it missed, though the broker forgot what was retained and the sink was restarted', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'persistence false']);
    await sendsAgain(broker, '5', async (operator) => {
      await broker.kill();
      await operator.closed;
      await broker.restart();
    });
  });

  it('is one of two that sends, and goes on without what the access list forbids', async () => {
    const acl = ['topic readwrite outpost/v1/+/up/#', 'topic write outpost/v1/+/down/#'].join('\n');
    await using broker = await Mosquitto.start(['allow_anonymous true', 'acl_file {folder}/acl'], { acl: `${acl}\n` });
    const sinks = [await startSink(broker), await startSink(broker)];
    const robot = await connect(broker, 'robot-07', '5');
    await robot.say('down/desired', desiredMessage(7), true);
    await robot.say('up/event', answerText(1, 'a', 'done'));
    await eventually(() => sinks.some(({ status }) => status.counts.stored === 1), 'events go on');
    expect(sinks.map(({ status }) => status.counts.resent)).toEqual([0, 0]);
  });

  it('sends once, though there are two', async () => {
    await using broker = await Mosquitto.start();
    const sinks = [await startSink(broker), await startSink(broker)];
    const operator = await connect(broker, 'operator', '5');
    await eventually(async () => {
      await operator.say('down/desired', desiredMessage(7), true);
      return sinks.every(({ status }) => status.counts.publishes > 0);
    }, 'both remember');
    const robot = await connect(broker, 'robot-07', '5');
    await robot.line.subscribe(['outpost/v1/robot-07/down/cmd']);
    await operator.say('down/cmd', commandMessage('a', soon()));
    await eventually(() => robot.heard.length === 1, 'the command itself');
    await robot.say('up/state', state(true));
    await eventually(() => robot.heard.length === 2, 'the command again');
    await robot.say('up/state', state(true));
    await robot.say('up/event', answerText(1, 'a', 'done'));
    const sum = (name: 'stored' | 'resent'): number =>
      sinks.reduce((total, { status }) => total + status.counts[name], 0);
    await eventually(() => sum('stored') === 1, 'the answer is stored');
    expect(sum('resent')).toBe(2);
    expect(robot.heard).toHaveLength(2);
  });
});

describe('a sink and a device that was away, over aedes (MQTT 3.1.1)', () => {
  it('sends it what it missed, though the broker forgot what was retained and the sink was restarted', async () => {
    await using broker = await startAedes();
    await sendsAgain(broker, '3.1.1', async (operator) => {
      await operator.publish('outpost/v1/robot-07/down/desired', '', { retain: true });
    });
  });
});

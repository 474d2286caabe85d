import { afterEach, describe, expect, it } from 'vitest';
import { Mosquitto, startAedes } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { systemClock } from './clock.ts';
import { connectMqtt, type MqttLine, type MqttMessage, type MqttOptions } from './mqtt.ts';

const lines: MqttLine[] = [];
afterEach(() => {
  for (const line of lines.splice(0)) line.destroy();
});

async function open(url: string, options: Partial<MqttOptions> = {}): Promise<MqttLine> {
  const clientId = options.clientId ?? `c-${lines.length}`;
  const line = await connectMqtt(
    { url, clientId, version: '5', keepaliveMs: 10_000, connectTimeoutMs: 10_000, clock: systemClock, ...options },
    new AbortController().signal,
  );
  lines.push(line);
  return line;
}

/** Keeps what comes, and acknowledges nothing. */
function keeper(): { readonly messages: MqttMessage[]; readonly receive: (message: MqttMessage) => undefined } {
  const messages: MqttMessage[] = [];
  return {
    messages,
    receive: (message) => {
      messages.push(message);
      return undefined;
    },
  };
}

const texts = (messages: readonly MqttMessage[]): string[] => messages.map(({ payload }) => payload.toString());

describeWith('messages from mosquitto', [needsProgram('mosquitto')], () => {
  it.each(['5', '3.1.1'] as const)(
    'come again until they are acknowledged, and then no more (MQTT %s)',
    async (version) => {
      await using broker = await Mosquitto.start();
      const session = { clientId: 'keeper', version, sessionSeconds: 600 };
      const first = keeper();
      const before = await open(broker.url, { ...session, receive: first.receive });
      await before.subscribe(['t/+']);
      const sender = await open(broker.url);
      for (const text of ['a', 'b', 'c']) expect(await sender.publish(`t/${text}`, text)).toBe(0);
      await eventually(() => first.messages.length === 3, 'three messages');
      // in any order, each for itself
      first.messages[1]?.acknowledge();
      await eventually(async () => {
        before.ping();
        return (await sender.publish('t/d', 'd')) === 0 && first.messages.length >= 4;
      }, 'another');
      before.destroy();
      await before.closed;
      first.messages[0]?.acknowledge();
      const second = keeper();
      const after = await open(broker.url, { ...session, receive: second.receive });
      await eventually(() => second.messages.length >= 3, 'what was not acknowledged');
      expect(texts(second.messages).slice(0, 3)).toEqual(['a', 'c', 'd']);
      expect(second.messages[0]?.again).toBe(true);
      for (const message of second.messages) message.acknowledge();
      await after.end();
      const third = keeper();
      await open(broker.url, { ...session, receive: third.receive });
      await sender.publish('t/z', 'z');
      await eventually(() => third.messages.length > 0, 'the last');
      expect(texts(third.messages)).toEqual(['z']);
    },
  );

  it('are no more than the receive maximum before the first is acknowledged', async () => {
    await using broker = await Mosquitto.start();
    const { messages, receive } = keeper();
    const line = await open(broker.url, { receiveMaximum: 3, receive });
    await line.subscribe(['t']);
    const sender = await open(broker.url);
    for (let n = 0; n < 10; n += 1) await sender.publish('t', String(n));
    await eventually(() => messages.length === 3, 'the window');
    const heardMonoMs = line.heardMonoMs;
    line.ping();
    await eventually(() => line.heardMonoMs > heardMonoMs, 'an answer behind all that was sent');
    expect(messages).toHaveLength(3);
    for (let n = 0; n < 10; n += 1) {
      await eventually(() => messages.length > n, `message ${n}`);
      messages[n]?.acknowledge();
    }
    expect(texts(messages)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  it('wait on the wire while the receiver is busy', async () => {
    await using broker = await Mosquitto.start();
    const seen: string[] = [];
    let release: (() => void) | undefined;
    const receive = async (message: MqttMessage): Promise<void> => {
      seen.push(message.payload.toString());
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      message.acknowledge();
    };
    const line = await open(broker.url, { receive });
    await line.subscribe(['t']);
    const sender = await open(broker.url);
    for (const text of ['a', 'b', 'c']) await sender.publish('t', text);
    for (const count of [1, 2, 3]) {
      await eventually(() => seen.length === count, 'one at a time');
      release?.();
    }
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('are spread over those who share a subscription', async () => {
    await using broker = await Mosquitto.start();
    const both = [keeper(), keeper()];
    for (const { receive } of both) {
      const line = await open(broker.url, { receive });
      expect(line.hasSharedSubscriptions).toBe(true);
      await line.subscribe(['$share/g/t']);
    }
    const sender = await open(broker.url);
    for (let n = 0; n < 10; n += 1) await sender.publish('t', String(n));
    await eventually(() => both.every(({ messages }) => messages.length === 5), 'half for each');
  });

  it('that are refused are said', async () => {
    await using broker = await Mosquitto.start(['allow_anonymous true', 'acl_file {folder}/acl'], {
      acl: 'topic read mine/#\n',
    });
    const line = await open(broker.url);
    await line.subscribe(['mine/a']);
    const closed = await open(broker.url);
    closed.destroy();
    await closed.closed;
    await expect(closed.subscribe(['mine/a'])).rejects.toMatchObject({ code: 'broker-closed' });
  });
});

describe('messages from aedes', () => {
  it('come by 3.1.1, which knows no shared subscription', async () => {
    await using broker = await startAedes();
    const { messages, receive } = keeper();
    const line = await open(broker.url, { version: '3.1.1', receive });
    expect(line.hasSharedSubscriptions).toBe(false);
    await line.subscribe(['t']);
    const sender = await open(broker.url, { version: '3.1.1' });
    await sender.publish('t', 'here', { retain: true });
    await eventually(() => messages.length === 1, 'a message');
    messages[0]?.acknowledge();
    const late = keeper();
    const other = await open(broker.url, { version: '3.1.1', receive: late.receive });
    await other.subscribe(['t']);
    await eventually(() => late.messages[0]?.retained === true, 'what was retained');
  });
});

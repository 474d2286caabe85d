/** A device that tries its neighbour's topics, for the access lists in packaging/brokers. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type IClientOptions } from 'mqtt';

/** The epoch of everything that it forges. */
export const forgedEpoch = 'f0';

const forged = JSON.stringify({ specversion: '1.0', epoch: forgedEpoch, lane: 'event', seq: '1' });

/**
 * Publishes as robot-07 and subscribes to its topics, with the rights of robot-08; each try on a connection of its own,
 * since many brokers end it.
 * @returns what it heard, which should be nothing
 */
export async function intrude(url: string, rights: IClientOptions): Promise<readonly string[]> {
  const heard: string[] = [];
  const root = 'outpost/v1';
  for (const topic of ['robot-07/up/event', 'robot-07/up/state', 'robot-07/down/ack', 'robot-08/down/ack']) {
    await attempt(url, rights, heard, 'publish', `${root}/${topic}`);
  }
  for (const filter of ['robot-07/down/ack', '+/down/ack', '+/up/+']) {
    await attempt(url, rights, heard, 'subscribe', `${root}/${filter}`);
  }
  await attempt(url, rights, heard, 'subscribe', '#');
  return heard;
}

async function attempt(
  url: string,
  rights: IClientOptions,
  heard: string[],
  what: 'publish' | 'subscribe',
  topic: string,
): Promise<void> {
  const client = connect(url, { clientId: 'robot-08', protocolVersion: 4, ...rights, reconnectPeriod: 0 });
  await new Promise<void>((resolve) => {
    client.on('message', (name) => heard.push(name));
    client.on('error', () => resolve());
    client.on('close', () => resolve());
    client.on('connect', () => {
      if (what === 'publish') client.publish(topic, forged, { qos: 1 }, () => resolve());
      // what is retained comes right behind the answer
      else client.subscribe(topic, { qos: 1 }, () => void delay(200).then(() => resolve()));
    });
  });
  client.end(true);
}

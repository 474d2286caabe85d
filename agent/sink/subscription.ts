/**
 * A connection to the broker that takes what devices send: MQTT 5 with a shared subscription, or 3.1.1 with all of it.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { mayBeOlder } from '#agent/core/mqtt-errors.ts';
import { connectMqtt, type MqttLine, type MqttMessage, type MqttOptions } from '#agent/core/mqtt.ts';
import { lanes } from '#agent/domain/lane.ts';
import { downFilter, upFilter } from '#agent/domain/topics.ts';

export interface BrokerOptions {
  /** mqtt, mqtts, ws or wss; without credentials. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Paths of PEM files, read anew for each connection. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly clientId: string;
  /** How long the broker keeps what this client did not acknowledge; absent: not at all. */
  readonly sessionSeconds?: number | undefined;
  /** Name of the shared subscription; absent: take everything. */
  readonly group?: string | undefined;
  readonly root: string;
}

const keepaliveMs = 30_000;
const connectTimeoutMs = 10_000;
/** Publishes of up to 64 KiB that wait for their commit. */
const receiveMaximum = 512;
const largestPacketBytes = 4 * 1024 * 1024;

/** @throws OutpostError `broker-…`, `uplink-file` */
export async function openSubscription(
  broker: BrokerOptions,
  receive: (message: MqttMessage) => Promise<void> | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<MqttLine> {
  const { url, username, password, clientId, sessionSeconds } = broker;
  const [ca, certificate, key] = await Promise.all([broker.ca, broker.certificate, broker.key].map(readPem));
  const credentials = { url, username, password, ca, certificate, key, clientId };
  const limits = { keepaliveMs, connectTimeoutMs, receiveMaximum, largestPacketBytes, sessionSeconds };
  const line = await connectEither({ ...credentials, ...limits, receive, clock }, signal);
  try {
    await line.subscribe(filters(broker, line.hasSharedSubscriptions));
    return line;
  } catch (thrown) {
    line.destroy();
    throw thrown;
  }
}

async function connectEither(options: Omit<MqttOptions, 'version'>, signal: AbortSignal): Promise<MqttLine> {
  try {
    return await connectMqtt({ ...options, version: '5' }, signal);
  } catch (thrown) {
    if (!(thrown instanceof OutpostError) || !mayBeOlder(thrown)) throw thrown;
    try {
      return await connectMqtt({ ...options, version: '3.1.1' }, signal);
    } catch (second) {
      throw thrown.code === 'broker-protocol' ? second : thrown;
    }
  }
}

/** Presence goes to every sink: it is retained, and a shared subscription is not given what is retained. */
function filters({ root, group }: BrokerOptions, isShared: boolean): string[] {
  const prefix = isShared && group !== undefined ? `$share/${group}/` : '';
  return [...lanes.map((lane) => `${prefix}${upFilter(root, lane)}`), upFilter(root, 'state')];
}

/**
 * What is remembered to be sent again. Configuration and report go to every sink, since they are retained; a command to
 * one of those that share.
 */
export async function listenDown(line: MqttLine, { root, group }: BrokerOptions): Promise<void> {
  const prefix = line.hasSharedSubscriptions && group !== undefined ? `$share/${group}/` : '';
  await line.subscribe([
    `${prefix}${downFilter(root, 'cmd')}`,
    downFilter(root, 'desired'),
    upFilter(root, 'reported'),
  ]);
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new OutpostError('uplink-file', messageOf(thrown), { context: { path }, cause: thrown });
  }
}

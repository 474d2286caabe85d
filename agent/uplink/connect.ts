/** A connection by the configuration: files read anew each time, MQTT 5 first, 3.1.1 when the broker is older. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { connectMqtt, type MqttLine, type MqttOptions, type MqttVersion } from '#agent/core/mqtt.ts';
import { mayBeOlder } from '#agent/core/mqtt-errors.ts';
import type { UplinkConfig } from '#config/schema.ts';

export interface ConnectOptions {
  readonly config: UplinkConfig;
  readonly url: string;
  readonly clientId: string;
  readonly will?: (version: MqttVersion) => { readonly topic: string; readonly payload: string };
  readonly clock: Clock;
}

const connectTimeoutMs = 10_000;

/** Remembers which version worked, for all connections to one broker. */
export class Connector {
  #worked: MqttVersion | undefined;

  /** @throws OutpostError `broker-…`, `uplink-file` */
  async connect(options: ConnectOptions, signal: AbortSignal): Promise<MqttLine> {
    const { protocol } = options.config;
    const mqtt = await mqttOptions(options);
    const first = protocol === 'auto' ? (this.#worked ?? '5') : protocol;
    try {
      return this.#remember(await connectMqtt(withVersion(mqtt, options, first), signal));
    } catch (thrown) {
      const isOlder = thrown instanceof OutpostError && mayBeOlder(thrown);
      if (first === '3.1.1' || protocol !== 'auto' || !isOlder) {
        if (isOlder) this.#worked = undefined;
        throw thrown;
      }
      try {
        return this.#remember(await connectMqtt(withVersion(mqtt, options, '3.1.1'), signal));
      } catch (second) {
        // Where both fail, the newer answer tells more, unless it was about the version alone.
        throw thrown.code === 'broker-protocol' || isMoreTelling(second) ? second : thrown;
      }
    }
  }

  #remember(line: MqttLine): MqttLine {
    this.#worked = line.version;
    return line;
  }
}

const isMoreTelling = (thrown: unknown): boolean =>
  thrown instanceof OutpostError && (thrown.code === 'broker-credentials' || thrown.code === 'broker-unreachable');

const withVersion = (
  mqtt: Omit<MqttOptions, 'version'>,
  { will }: ConnectOptions,
  version: MqttVersion,
): MqttOptions => ({
  ...mqtt,
  version,
  will: will?.(version),
});

async function mqttOptions({ config, url, clientId, clock }: ConnectOptions): Promise<Omit<MqttOptions, 'version'>> {
  const [ca, certificate, key] = await Promise.all([config.ca, config.certificate, config.key].map(readPem));
  const { username, password, keepalive } = config;
  return { url, clientId, username, password, ca, certificate, key, keepaliveMs: keepalive, connectTimeoutMs, clock };
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new OutpostError('uplink-file', messageOf(thrown), { context: { path }, cause: thrown });
  }
}

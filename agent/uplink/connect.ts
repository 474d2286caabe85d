/** A connection by the configuration: files read anew each time, MQTT 5 first, 3.1.1 when the broker is older. */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import { connectMqtt, type MqttLine, type MqttOptions, type MqttVersion } from '#agent/core/mqtt.ts';
import { mayBeOlder } from '#agent/core/mqtt-errors.ts';
import type { UplinkConfig } from '#config/schema.ts';
import { type Credentials, readCredentials, validityText, whyNotValid } from './credentials.ts';

export interface ConnectOptions {
  readonly config: UplinkConfig;
  readonly url: string;
  readonly clientId: string;
  readonly will?: (version: MqttVersion) => { readonly topic: string; readonly payload: string };
  readonly receive?: MqttOptions['receive'];
  readonly clock: Clock;
}

const connectTimeoutMs = 10_000;
/** What a broker may send: acknowledgements, a configuration, commands. */
const incoming = { receiveMaximum: 16, largestPacketBytes: 256 * 1024 };

/** Remembers which version worked, for all connections to one broker. */
export class Connector {
  #worked: MqttVersion | undefined;

  /** @throws OutpostError `broker-…`, `certificate-…`, `uplink-file` */
  async connect(options: ConnectOptions, signal: AbortSignal): Promise<MqttLine> {
    const credentials = await readCredentials(options.config);
    try {
      return await this.#connect(options, credentials, signal);
    } catch (thrown) {
      throw signal.aborted ? thrown : certificateError(thrown, credentials, options.clock.wallMs());
    }
  }

  async #connect(options: ConnectOptions, credentials: Credentials, signal: AbortSignal): Promise<MqttLine> {
    const { protocol } = options.config;
    const mqtt = mqttOptions(options, credentials);
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

function mqttOptions(
  { config, url, clientId, receive, clock }: ConnectOptions,
  { ca, certificate, key }: Credentials,
): Omit<MqttOptions, 'version'> {
  const { username, password, keepalive } = config;
  const common = { url, clientId, username, password, ca, certificate, key, keepaliveMs: keepalive, connectTimeoutMs };
  return { ...common, ...incoming, receive, clock };
}

const sayNoMore: ReadonlySet<string> = new Set(['broker-tls', 'broker-closed', 'certificate-expired']);

/** A broker that refuses a certificate often says no more than that it closes: the certificate itself tells why. */
function certificateError(thrown: unknown, { validity }: Credentials, wallMs: number): OutpostError {
  const error = toOutpostError(thrown);
  const why = whyNotValid(validity, wallMs);
  if (!validity || !why || !sayNoMore.has(error.code)) return error;
  const code = why === 'expired' ? 'certificate-expired' : 'certificate-not-yet-valid';
  return new OutpostError(code, `The device’s certificate is ${validityText(validity)}; ${error.message}`, {
    context: { ...error.context, now: new Date(wallMs).toISOString() },
    cause: error,
  });
}

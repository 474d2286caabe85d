/** Brokers for tests: mosquitto as a process of its own (MQTT 5), aedes inside this one (3.1.1). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Aedes } from 'aedes';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { eventually } from './eventually.ts';

export interface TestBroker extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Mosquitto implements TestBroker {
  readonly port: number;
  readonly scheme: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, scheme: string, folder: string) {
    this.port = port;
    this.scheme = scheme;
    this.#folder = folder;
  }

  /** @param extra lines of mosquitto.conf; `{folder}` is the broker's own */
  static async start(extra: readonly string[] = ['allow_anonymous true'], files: Record<string, string> = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-mosquitto-'));
    const port = await freePort();
    const isTls = extra.some((line) => line.startsWith('certfile'));
    const broker = new Mosquitto(port, isTls ? 'mqtts' : 'mqtt', folder);
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o644 });
    const lines = [
      `listener ${port} 127.0.0.1`,
      'user root',
      'persistence true',
      `persistence_location ${folder}/`,
      'autosave_interval 1',
      'max_queued_messages 0',
      ...extra.map((line) => line.replaceAll('{folder}', folder)),
    ];
    await writeFile(join(folder, 'mosquitto.conf'), `${lines.join('\n')}\n`);
    await broker.restart();
    return broker;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async restart(): Promise<void> {
    this.#process = spawn('mosquitto', ['-c', join(this.#folder, 'mosquitto.conf')], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
    });
    await eventually(async () => await accepts(this.port), 'mosquitto listens');
  }

  /** SIGKILL, unless told otherwise, and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Stops answering, with every connection open. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw();
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** aedes: MQTT 3.1.1 alone. @param prepare sets what it refuses, or leaves without an answer */
export async function startAedes(prepare: (broker: Aedes) => void = () => undefined): Promise<TestBroker> {
  const { Aedes } = await import('aedes');
  const broker = await Aedes.createBroker();
  prepare(broker);
  const server = createServer(broker.handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => broker.close(resolve));
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Received {
  readonly topic: string;
  readonly text: string;
  readonly contentType: string | undefined;
}

/** A subscriber with a persistent session, that keeps everything it gets. */
export class TestSubscriber implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload, packet) =>
      this.received.push({ topic, text: payload.toString(), contentType: packet.properties?.contentType }),
    );
  }

  static async connect(url: string, topic = '#', options: IClientOptions = {}): Promise<TestSubscriber> {
    const client = connect(url, {
      clientId: `sub-${process.pid}`,
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 50,
      ...options,
    });
    client.on('error', () => undefined);
    const subscriber = new TestSubscriber(client);
    if (!client.connected) await new Promise<void>((resolve) => client.once('connect', () => resolve()));
    await client.subscribeAsync(topic, { qos: 1 });
    return subscriber;
  }

  /** The events of a lane in the order of their arrival, batches taken apart. */
  events(lane?: string): Record<string, unknown>[] {
    return this.received
      .filter(({ topic }) => (lane === undefined ? !topic.endsWith('/state') : topic.endsWith(`/up/${lane}`)))
      .flatMap(({ text }) => {
        const parsed = JSON.parse(text) as Record<string, unknown> | Record<string, unknown>[];
        return Array.isArray(parsed) ? parsed : [parsed];
      });
  }

  states(): Record<string, unknown>[] {
    return this.received
      .filter(({ topic }) => topic.endsWith('/up/state'))
      .map(({ text }) => JSON.parse(text) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** Whether a session can be had and a publish is acknowledged, within three seconds. */
export async function takesPublish(url: string, topic: string, options: IClientOptions): Promise<boolean> {
  const client = connect(url, { protocolVersion: 4, reconnectPeriod: 0, ...options });
  return await new Promise<boolean>((resolve) => {
    const end = (taken: boolean): void => {
      resolve(taken);
      client.end(true);
    };
    // a broker that is still starting may hang up without a word, or say nothing at all
    void delay(3_000).then(() => end(false));
    client.once('error', () => end(false)).once('close', () => end(false));
    client.once('connect', () =>
      client.publish(topic, '{}', { qos: 1 }, (error) => end(error === undefined || error === null)),
    );
  });
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

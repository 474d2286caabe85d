/** What the benches of the outbox have at the other end: mosquitto, and a subscriber, as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { connectMqtt, type MqttLine } from '#agent/core/mqtt.ts';

/** A bare line. */
export const connect = async (port: number): Promise<MqttLine> =>
  await connectMqtt(
    {
      url: `mqtt://127.0.0.1:${port}`,
      clientId: 'bench-feeder',
      version: '5',
      keepaliveMs: 60_000,
      connectTimeoutMs: 10_000,
      clock: systemClock,
    },
    new AbortController().signal,
  );

export class Broker implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  static async start(folder: string, extra: readonly string[]): Promise<Broker> {
    const port = await freePort();
    const file = join(folder, `mosquitto-${port}.conf`);
    const lines = [
      `listener ${port} 127.0.0.1`,
      'user root',
      'allow_anonymous true',
      'max_queued_messages 0',
      'max_queued_bytes 0',
      ...extra,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    const child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' });
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}.`);
      await systemClock.sleep(20);
    }
    return new Broker(port, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endOf(this.#child);
  }
}

/** For each message a dot and a newline: the texts themselves would pass through the process that is measured. */
const printed = '.';
const printedBytes = printed.length + 1;

/** mosquitto_sub: a broker without a subscriber would have nothing to do. */
export class Subscriber implements AsyncDisposable {
  readonly #child: ChildProcess;
  #bytes = 0;

  /** That came so far. */
  get messages(): number {
    return Math.floor(this.#bytes / printedBytes);
  }

  get isThere(): boolean {
    return this.#child.exitCode === null;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (part: Buffer) => {
      this.#bytes += part.length;
    });
  }

  static async start(port: number, folder: string, isTls: boolean): Promise<Subscriber> {
    const tls = [
      '--cafile',
      join(folder, 'ca.crt'),
      '--cert',
      join(folder, 'client.crt'),
      '--key',
      join(folder, 'client.key'),
    ];
    const options = ['-h', 'localhost', '-p', String(port), '-t', '#', '-q', '1', '-F', printed, ...(isTls ? tls : [])];
    const child = spawn('mosquitto_sub', options, { stdio: ['ignore', 'pipe', 'ignore'] });
    const subscriber = new Subscriber(child);
    await systemClock.sleep(500);
    return subscriber;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endOf(this.#child);
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  return (await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy())) as boolean;
}

/** RabbitMQ with its MQTT plugin for tests, from the example in packaging/brokers/rabbitmq, without its service. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, takesPublish } from './broker.ts';
import { eventually } from './eventually.ts';

const examples = join(import.meta.dirname, '../../packaging/brokers/rabbitmq');
const installed = '/usr/lib/rabbitmq/lib';
export const rabbitPassword = 'change-me';

export class RabbitMq implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #epmd: ChildProcess;
  #server: ChildProcess | undefined;

  private constructor(port: number, folder: string, environment: NodeJS.ProcessEnv, epmd: ChildProcess) {
    this.port = port;
    this.#folder = folder;
    this.#environment = environment;
    this.#epmd = epmd;
  }

  static async start(): Promise<RabbitMq> {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-rabbitmq-'));
    const [port, epmdPort, distPort] = [await freePort(), await freePort(), await freePort()];
    const example = await readFile(join(examples, 'rabbitmq.conf'), 'utf8');
    const definitions = join(folder, 'definitions.json');
    await writeFile(definitions, await readFile(join(examples, 'definitions.json'), 'utf8'));
    const configuration = example
      .replace('0.0.0.0:1883', `127.0.0.1:${port}`)
      .replace('/etc/rabbitmq/definitions.json', definitions);
    await writeFile(join(folder, 'rabbitmq.conf'), configuration);
    await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_mqtt].\n');
    const environment: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      HOME: folder,
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `outpost${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distPort),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none',
    };
    // in the foreground, so that it ends with the test
    const epmd = spawn('epmd', ['-port', String(epmdPort)], { stdio: 'ignore', env: environment });
    const broker = new RabbitMq(port, folder, environment, epmd);
    await broker.restart();
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async restart(): Promise<void> {
    const version = (await readdir(installed)).find((name) => name.startsWith('rabbitmq_server-'));
    const program = join(installed, version ?? '', 'sbin/rabbitmq-server');
    // a group of its own: the script starts the machine that is the broker
    this.#server = spawn(program, [], { stdio: 'ignore', env: this.#environment, detached: true });
    const probe = { clientId: 'robot-08', username: 'robot-08', password: rabbitPassword };
    await eventually(
      async () => await takesPublish(this.url, 'outpost/v1/robot-08/up/state', probe),
      'RabbitMQ takes sessions',
      180_000,
    );
  }

  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server?.pid || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    process.kill(-server.pid, 'SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#epmd.kill('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A NATS cluster of three for tests, from the example in packaging/brokers/nats, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, takesPublish } from './broker.ts';
import { eventually } from './eventually.ts';

const examples = join(import.meta.dirname, '../../packaging/brokers/nats');
export const natsPassword = 'change-me';

interface NatsNode {
  readonly mqttPort: number;
  readonly configuration: string;
  process: ChildProcess | undefined;
}

export class NatsCluster implements AsyncDisposable {
  readonly #folder: string;
  readonly #nodes: readonly NatsNode[];

  private constructor(folder: string, nodes: readonly NatsNode[]) {
    this.#folder = folder;
    this.#nodes = nodes;
  }

  /** Returns when the cluster has elected its leaders and takes sessions. */
  static async start(size = 3): Promise<NatsCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-nats-'));
    const ports: { client: number; mqtt: number; cluster: number }[] = [];
    for (let n = 0; n < size; n += 1) {
      ports.push({ client: await freePort(), mqtt: await freePort(), cluster: await freePort() });
    }
    const example = await readFile(join(examples, 'node.conf'), 'utf8');
    await writeFile(join(folder, 'users.conf'), await readFile(join(examples, 'users.conf'), 'utf8'));
    const routes = ports.map(({ cluster }) => `    "nats-route://127.0.0.1:${cluster}"`).join('\n');
    const nodes: NatsNode[] = [];
    for (const [index, { client, mqtt, cluster }] of ports.entries()) {
      const configuration = join(folder, `node-${index + 1}.conf`);
      const text = example
        .replaceAll('nats-1', `nats-${index + 1}`)
        .replace('0.0.0.0:4222', `127.0.0.1:${client}`)
        .replace('0.0.0.0:1883', `127.0.0.1:${mqtt}`)
        .replace('0.0.0.0:6222', `127.0.0.1:${cluster}`)
        .replace('/var/lib/nats', folder)
        .replace(/routes: \[[^\]]*\]/, `routes: [\n${routes}\n  ]`)
        .replace('stream_replicas: 3', `stream_replicas: ${size}`);
      await writeFile(configuration, text);
      nodes.push({ mqttPort: mqtt, configuration, process: undefined });
    }
    const started = new NatsCluster(folder, nodes);
    for (const index of nodes.keys()) started.restart(index);
    for (const index of nodes.keys()) await started.ready(index);
    return started;
  }

  url(index: number): string {
    return `mqtt://127.0.0.1:${this.#nodes[index]?.mqttPort ?? 0}`;
  }

  restart(index: number): void {
    const node = this.#nodes[index];
    if (!node) return;
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
    node.process = spawn('nats-server', ['-c', node.configuration], { stdio: 'ignore', env });
  }

  /** It takes a session: its streams have a leader. */
  async ready(index: number): Promise<void> {
    const probe = { clientId: `probe-${index}`, username: 'robot-08', password: natsPassword };
    await eventually(
      async () => await takesPublish(this.url(index), 'outpost/v1/robot-08/up/probe', probe),
      `NATS server ${index} takes sessions`,
    );
  }

  async kill(index: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#nodes[index]?.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#nodes.keys()) await this.kill(index);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * A network of the test's own, so that nothing stays behind on the machine's: a broker behind a cable that can be pulled,
 * narrowed, and made to swallow packets.
 *
 *   test, 10.213.N.1 ---- veth ---- 10.213.N.2, network namespace with mosquitto
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { eventually } from '#agent/testing/eventually.ts';
import type { Requirement } from '#agent/testing/require.ts';
import { run } from './disk.ts';

export const needsNamespaces: Requirement = () =>
  spawnSync('sh', ['-c', 'ip netns add outpost-probe && ip netns del outpost-probe && command -v tc iptables'])
    .status === 0
    ? undefined
    : 'network namespaces, tc and iptables (root, apt-get install iproute2 iptables)';

const port = 1883;

export class Namespace implements AsyncDisposable {
  readonly #name: string;
  readonly #folder: string;
  readonly #net: string;
  #broker: ChildProcess | undefined;

  private constructor(name: string, net: string, folder: string) {
    this.#name = name;
    this.#net = net;
    this.#folder = folder;
  }

  static async create(folder: string): Promise<Namespace> {
    const number = (process.pid % 200) + 20;
    const space = new Namespace(`op${process.pid % 100_000}`, `10.213.${number}`, folder);
    const [name, near, far] = [space.#name, space.near, space.far];
    try {
      run('ip', 'netns', 'add', name);
      run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
      run('ip', 'addr', 'add', `${space.#net}.1/30`, 'dev', near);
      run('ip', 'link', 'set', near, 'up');
      space.inside('ip', 'addr', 'add', `${space.#net}.2/30`, 'dev', far);
      space.inside('ip', 'link', 'set', far, 'up');
      space.inside('ip', 'link', 'set', 'lo', 'up');
      await writeFile(join(folder, 'mosquitto.conf'), space.configuration(['allow_anonymous true']));
      await space.startBroker();
      return space;
    } catch (thrown) {
      await space[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get url(): string {
    return `mqtt://${this.#net}.2:${port}`;
  }

  private get near(): string {
    return `${this.#name}a`;
  }

  private get far(): string {
    return `${this.#name}b`;
  }

  private configuration(extra: readonly string[]): string {
    return [
      `listener ${port}`,
      'user root',
      'persistence true',
      `persistence_location ${this.#folder}/`,
      'max_queued_messages 0',
      ...extra,
      '',
    ].join('\n');
  }

  private inside(...command: readonly string[]): void {
    run('ip', 'netns', 'exec', this.#name, ...command);
  }

  async startBroker(): Promise<void> {
    const command = ['netns', 'exec', this.#name, 'mosquitto', '-c', join(this.#folder, 'mosquitto.conf')];
    this.#broker = spawn('ip', command, { stdio: 'ignore' });
    await eventually(async () => await accepts(`${this.#net}.2`), 'mosquitto listens');
  }

  pull(): void {
    run('ip', 'link', 'set', this.near, 'down');
  }

  plug(): void {
    run('ip', 'link', 'set', this.near, 'up');
  }

  /** @param rate such as `500kbit`; undefined: as fast as it can */
  narrow(rate: string | undefined): void {
    if (rate === undefined) run('tc', 'qdisc', 'del', 'dev', this.near, 'root');
    else
      run('tc', 'qdisc', 'replace', 'dev', this.near, 'root', 'tbf', 'rate', rate, 'burst', '16kb', 'latency', '400ms');
  }

  /** Connections stay open, and nothing comes through. */
  swallow(isOn: boolean): void {
    this.inside('iptables', isOn ? '-A' : '-D', 'INPUT', '-i', this.far, '-j', 'DROP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const broker = this.#broker;
    if (broker && broker.exitCode === null && broker.signalCode === null) {
      const exited = once(broker, 'exit');
      broker.kill('SIGKILL');
      await exited;
    }
    // ip netns exec becomes the broker itself, so nobody is left in it
    spawnSync('ip', ['link', 'del', this.near]);
    spawnSync('ip', ['netns', 'del', this.#name]);
  }
}

async function accepts(host: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection({ port, host });
    socket.setTimeout(500, () => socket.destroy());
    socket
      .once('connect', () => resolve(true))
      .once('error', () => resolve(false))
      .once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

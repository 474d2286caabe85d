/** A real agent under a stand-in for systemd (stand-in.py), which says what it was told and what it did. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testedProgram } from '#agent/testing/program.ts';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import type { Status } from '#agent/outpost.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { ConfigInput } from '#config/load.ts';

export interface Said {
  readonly what: 'start' | 'told' | 'silent' | 'exit';
  readonly pid: number;
  readonly isMain?: boolean;
  readonly code?: number;
  readonly lines?: Readonly<Record<string, string>>;
}

export interface SupervisedOptions {
  readonly config: ConfigInput;
  readonly watchdogMs: number;
  /** Of the abstract namespace, instead of a path. */
  readonly isAbstract?: boolean;
}

export interface SupervisedCommand {
  readonly folder: string;
  readonly address: string;
  readonly watchdogMs: number;
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

export class SupervisedAgent implements AsyncDisposable {
  readonly folder: string;
  readonly #standIn: ChildProcess;
  readonly #said: Said[] = [];
  #partial = '';
  #log = '';

  private constructor(folder: string, standIn: ChildProcess) {
    this.folder = folder;
    this.#standIn = standIn;
    standIn.stdout?.on('data', (chunk: Buffer) => this.#read(chunk.toString('utf8')));
    standIn.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString('utf8')));
  }

  static async start({ config, watchdogMs, isAbstract }: SupervisedOptions): Promise<SupervisedAgent> {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-service-'));
    const file = join(folder, 'outpost.yaml');
    await writeFile(file, JSON.stringify({ ...config, storage: { path: folder } }));
    return SupervisedAgent.command({
      folder,
      address: isAbstract ? `@${folder}` : join(folder, 'notify.sock'),
      watchdogMs,
      command: [...testedProgram(), 'run', '--config', file],
      environment: {
        ...process.env,
        OUTPOST_MODELS: testData('models'),
        OUTPOST_TEST_BLOCK: folder,
        NODE_OPTIONS: `--require=${join(import.meta.dirname, 'block.mjs')}`,
      },
    });
  }

  /** Any command as a service; `folder` is removed in the end. */
  static command({ folder, address, watchdogMs, command, environment }: SupervisedCommand): SupervisedAgent {
    const standIn = spawn(
      'python3',
      [join(import.meta.dirname, 'stand-in.py'), address, String(watchdogMs), ...command],
      { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'], env: environment },
    );
    return new SupervisedAgent(folder, standIn);
  }

  /** What the agent logged, over all its starts. */
  get log(): string {
    return this.#log;
  }

  of(what: Said['what']): readonly Said[] {
    return this.#said.filter((entry) => entry.what === what);
  }

  /** Messages with a line such as READY. */
  told(key: string): readonly Said[] {
    return this.of('told').filter(({ lines }) => lines?.[key] !== undefined);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await eventually(() => condition(), what, 240_000).catch((thrown: unknown) => {
      throw new Error(`${String(thrown)}\n${JSON.stringify(this.#said.slice(-10))}\n${this.#log.slice(-4_000)}`);
    });
  }

  async status(): Promise<Status | undefined> {
    return (await askStatus(socketPath(this.folder)).catch(() => undefined)) as Status | undefined;
  }

  /** Blocks a thread of the agent that runs now, for ever. */
  async block(part: 'loop' | 'writer'): Promise<void> {
    await writeFile(join(this.folder, `block-${part}`), '');
  }

  async unblock(part: 'loop' | 'writer'): Promise<void> {
    await rm(join(this.folder, `block-${part}`), { force: true });
  }

  /** Asks for the end as `systemctl stop` does. */
  async stop(): Promise<void> {
    if (this.#standIn.exitCode !== null) return;
    const exited = once(this.#standIn, 'exit');
    this.#standIn.stdin?.end();
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #read(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    this.#said.push(...lines.map((line) => JSON.parse(line) as Said));
  }
}

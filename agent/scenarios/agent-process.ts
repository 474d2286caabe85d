/** A real agent as a process of its own, for whole-agent tests: started, asked for its status, ended by its id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import type { Status } from '#agent/outpost.ts';
import { testedProgram } from '#agent/testing/program.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { ConfigInput } from '#config/load.ts';

export class AgentProcess implements AsyncDisposable {
  readonly folder: string;
  readonly #child: ChildProcess;
  #log = '';

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString('utf8');
    });
  }

  /**
   * @param folder the store of an earlier process, to go on with it
   * @param environment variables beside the test's own
   */
  static async start(
    config: ConfigInput,
    folder?: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<AgentProcess> {
    const place = folder ?? (await mkdtemp(join(tmpdir(), 'outpost-agent-')));
    const file = join(place, 'outpost.yaml');
    await mkdir(join(place, 'home'), { recursive: true });
    await writeFile(file, JSON.stringify({ ...config, storage: { path: place } }));
    const [program, ...leading] = testedProgram();
    const child = spawn(program, [...leading, 'run', '--config', file], {
      cwd: place,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, OUTPOST_MODELS: testData('models'), HOME: join(place, 'home'), ...environment },
    });
    return new AgentProcess(place, child);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** What it logged so far, NDJSON. */
  get log(): string {
    return this.#log;
  }

  async status(): Promise<Status | undefined> {
    return (await askStatus(socketPath(this.folder)).catch(() => undefined)) as Status | undefined;
  }

  /** Waits until its status satisfies a condition. */
  async until(condition: (status: Status) => boolean, what: string, limitMs = 240_000): Promise<Status> {
    return await eventually(
      async () => {
        if (this.#child.exitCode !== null) throw new Error(`The agent ended (${this.#child.exitCode}):\n${this.#log}`);
        const status = await this.status();
        return status && condition(status) ? status : undefined;
      },
      what,
      limitMs,
    );
  }

  /** @returns its exit code, or the signal that ended it */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill(signal);
      await exited;
    }
    return this.#child.exitCode ?? (this.#child.signalCode as string);
  }

  /** @returns its exit code, once it has ended by itself */
  async exited(): Promise<number | string> {
    return await eventually(
      () => this.#child.exitCode?.toString() ?? this.#child.signalCode ?? undefined,
      'its end',
    ).then((code) => (/^\d+$/.test(code) ? Number(code) : code));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

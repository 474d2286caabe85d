/** The appending process under test, and what it said. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { eventually } from '#agent/testing/eventually.ts';
import type { Account } from './account.ts';

export interface WorkloadOptions {
  readonly path: string;
  /** Markers of this process begin with it. */
  readonly prefix: string;
  readonly account: Account;
  readonly maxSizeBytes?: number;
  readonly bootId?: string;
  /** A program that runs it, such as strace with its arguments. */
  readonly under?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly device?: DeviceOptions;
  /** A damaged store above this size is salvaged while another serves. */
  readonly salvageFirstBytes?: number;
}

/** A device with its uplink in place of the bare appender. */
export interface DeviceOptions {
  readonly url: string;
  /** Public key; absent: custody `broker`. */
  readonly consumer?: string;
  readonly ca?: string;
}

export class Workload implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #account: Account;
  #rest = '';
  taken = 0;
  refused = 0;
  isOpen = false;
  hasClosed = false;

  constructor(options: WorkloadOptions) {
    const { account, under = [], environment } = options;
    this.#account = account;
    const command = [...under, process.execPath, ...scriptOf(options)];
    this.#child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.#child.stdin?.on('error', () => undefined);
  }

  errors = '';

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Until so many more are taken. @throws when it ended before */
  async takes(more: number): Promise<void> {
    const goal = this.taken + more;
    await eventually(() => {
      if (!this.isRunning) throw new Error(`The appender ended: ${this.errors}`);
      return this.taken >= goal;
    }, `${more} more appends (${this.#account.codesText})`);
  }

  /** What it had said before has all been read when this returns. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  /** In order. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin?.write('stop\n');
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [word, ...rest] = line.split(' ');
      const [one = '', two = '', three = '', four = '', told = '0'] = rest;
      if (word === 'taken') {
        this.taken += 1;
        this.#account.took(one, two, three, four, BigInt(told));
      } else if (word === 'refused') {
        this.refused += 1;
        this.#account.refuse(one, two);
      } else if (word === 'open') this.isOpen = true;
      else if (word === 'closed') this.hasClosed = true;
    }
  }
}

function scriptOf({
  path,
  prefix,
  maxSizeBytes = 64 * 1024 ** 2,
  bootId = 'boot-1',
  device,
  salvageFirstBytes,
}: WorkloadOptions): string[] {
  const script = (name: string): string => resolve(import.meta.dirname, name);
  if (!device) {
    const salvageFirst = salvageFirstBytes === undefined ? [] : [String(salvageFirstBytes)];
    return [script('appender.ts'), path, prefix, String(maxSizeBytes), bootId, ...salvageFirst];
  }
  return [script('device.ts'), path, prefix, device.url, device.consumer ?? '-', device.ca ?? '-'];
}

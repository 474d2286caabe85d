/**
 * The whole chain as processes, each of which can be killed: a device under load, a broker, a sink, a database.
 *
 *   device (outbox, uplink) -> mosquitto -> outpost sink -> SQLite, or PostgreSQL
 *          <----------------- signed acknowledgements -----
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { eventually } from '#agent/testing/eventually.ts';
import { newKey } from '#agent/trust/keys.ts';
import type { Account } from './account.ts';
import { type ChainDatabase, sqliteDatabase } from './chain-database.ts';
import { Workload } from './workload.ts';

const main = resolve(import.meta.dirname, '../main.ts');

export interface ChainOptions {
  readonly folder: string;
  readonly account: Account;
  readonly brokerUrl: string;
  /** Where the sink reaches the broker; default: as the device. */
  readonly sinkUrl?: string;
  readonly ca?: string;
  /** Default: a SQLite file in the folder. */
  readonly database?: ChainDatabase;
}

export class Chain implements AsyncDisposable {
  readonly #options: ChainOptions;
  readonly #publicKey: string;
  readonly #database: ChainDatabase;
  #device: Workload | undefined;
  #sink: ChildProcess | undefined;
  #starts = 0;
  #sinkErrors = '';

  private constructor(options: ChainOptions, publicKey: string) {
    this.#options = options;
    this.#publicKey = publicKey;
    this.#database = options.database ?? sqliteDatabase(options.folder);
  }

  static async start(options: ChainOptions): Promise<Chain> {
    const key = newKey();
    await writeFile(join(options.folder, 'sink.pem'), key.privatePem, { mode: 0o600 });
    const chain = new Chain(options, key.publicBase64);
    chain.startSink();
    chain.startDevice();
    return chain;
  }

  get taken(): number {
    return this.#options.account.taken.size;
  }

  startDevice(): void {
    const { folder, account, brokerUrl: url, ca } = this.#options;
    this.#starts += 1;
    this.#device = new Workload({
      path: join(folder, 'device'),
      prefix: `d${this.#starts}`,
      account,
      device: { url, consumer: this.#publicKey, ...(ca === undefined ? {} : { ca }) },
    });
  }

  startSink(): void {
    const { folder, brokerUrl, sinkUrl = brokerUrl, ca } = this.#options;
    const broker = ['--broker', sinkUrl, ...(ca === undefined ? [] : ['--tls-ca', ca])];
    const options = ['--database', this.#database.url, '--key', join(folder, 'sink.pem'), '--name', 'sink-1'];
    this.#sink = spawn(process.execPath, [main, 'sink', ...broker, ...options, '--log-level', 'error'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#sink.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#sinkErrors = `${this.#sinkErrors}${text}`.slice(-2_000);
    });
  }

  async killDevice(): Promise<void> {
    await this.#device?.kill();
  }

  async killSink(): Promise<void> {
    const sink = this.#sink;
    if (!sink || sink.exitCode !== null || sink.signalCode !== null) return;
    const exited = once(sink, 'exit');
    sink.kill('SIGKILL');
    await exited;
  }

  /** Ends the load, and waits until the device has handed everything over. @throws when it never does */
  async drain(limitMs = 120_000): Promise<void> {
    const device = this.#device;
    if (!device) return;
    await eventually(() => device.isOpen || !device.isRunning, 'the device is open');
    const stopped = device.stop();
    await eventually(
      () => device.hasClosed || !device.isRunning,
      `everything is committed (sink: ${this.#sinkErrors})`,
      limitMs,
    );
    await stopped;
    if (!device.hasClosed) throw new Error(`The device ended: ${device.errors}`);
  }

  /** How many events the database has. */
  get rows(): number {
    return this.#database.count();
  }

  /** What the database has: number -> marker, and the declared ranges. */
  stored(): { readonly there: ReadonlyMap<string, string>; readonly rows: number; readonly gone: ReadonlySet<string> } {
    const there = new Map<string, string>();
    const gone = new Set<string>();
    const rows = this.#database.rows();
    for (const { epoch, lane, seq, type, data } of rows) {
      const parsed = JSON.parse(data) as Record<string, string | undefined>;
      there.set(`${epoch} ${lane} ${seq}`, parsed['incident'] ?? type);
      if (type !== 'outpost.dropped') continue;
      for (let at = Number(parsed['first']); at <= Number(parsed['last']); at += 1) {
        gone.add(`${parsed['epoch'] ?? epoch} ${parsed['lane']} ${at}`);
      }
    }
    return { there, rows: rows.length, gone };
  }

  /** What `outpost verify` says of the same. */
  verify(): { readonly lost: number; readonly status: number | null; readonly text: string } {
    const { folder } = this.#options;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [main, 'verify', '--json', '--database', this.#database.url, '--store', join(folder, 'device')],
      { encoding: 'utf8' },
    );
    const total = stdout === '' ? { lost: Number.NaN } : (JSON.parse(stdout) as { total: { lost: number } }).total;
    return { lost: total.lost, status, text: stdout || stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killDevice();
    await this.killSink();
  }
}

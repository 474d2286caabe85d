/** A PostgreSQL cluster of a test's own: its folder, its port, no password; ended by pid. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './broker.ts';
import { eventually } from './eventually.ts';
import type { Requirement } from './require.ts';

/** Debian keeps the programs of each version apart. */
function programs(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  return versions.map((version) => join(root, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}

export const needsPostgres: Requirement = () =>
  programs() === undefined ? 'PostgreSQL (apt-get install postgresql)' : undefined;

/** PostgreSQL refuses to run as root. */
function identity(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export class Postgres implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  #server: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
  }

  /** @param settings such as `fsync=off` */
  static async start(settings: readonly string[] = []): Promise<Postgres> {
    const folder = mkdtempSync(join(tmpdir(), 'outpost-postgres-'));
    const { uid, gid } = identity();
    if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
    const postgres = new Postgres(await freePort(), folder);
    const data = join(folder, 'data');
    execFileSync(
      join(programs() ?? '', 'initdb'),
      ['-D', data, '-U', 'outpost', '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      { ...identity(), cwd: folder, stdio: 'ignore' },
    );
    await postgres.restart(settings);
    return postgres;
  }

  async restart(settings: readonly string[] = []): Promise<void> {
    const { folder, port } = this;
    const options = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, ...settings];
    this.#server = spawn(
      join(programs() ?? '', 'postgres'),
      ['-D', join(folder, 'data'), ...options.flatMap((option) => ['-c', option])],
      { ...identity(), cwd: folder, stdio: 'ignore' },
    );
    await eventually(async () => await this.#answers(), 'PostgreSQL answers');
  }

  /** A database of its own in this cluster. */
  database(name: string): string {
    this.query('postgres', `CREATE DATABASE ${name}`);
    return this.url(name);
  }

  url(name = 'postgres'): string {
    return `postgres://outpost@127.0.0.1:${this.port}/${name}`;
  }

  /** What psql prints: a line a row, columns apart by `|`. */
  query(name: string, sql: string): string {
    return execFileSync(
      join(programs() ?? '', 'psql'),
      ['-X', '-q', '-A', '-t', '-h', '127.0.0.1', '-p', String(this.port), '-U', 'outpost', '-d', name, '-c', sql],
      { encoding: 'utf8', cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 30 },
    ).trimEnd();
  }

  /** SIGQUIT: at once, as when the power goes. */
  async kill(signal: NodeJS.Signals = 'SIGQUIT'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ port: this.port, host: '127.0.0.1' });
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (!open) return false;
    try {
      return this.query('postgres', 'SELECT 1') === '1';
    } catch {
      return false;
    }
  }
}

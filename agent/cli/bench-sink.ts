/**
 * How fast one, two and four sinks take events into one PostgreSQL.
 *
 *   sinks, stopped <- mosquitto <- all events;  then: go on --> events/s until the last is committed
 *
 * All of it, the broker and the database too, shares the processors of one machine.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { connectMqtt } from '#agent/core/mqtt.ts';
import { encodeEvent, encodeHead, spliceSequence } from '#agent/domain/cloudevent.ts';
import { upTopic } from '#agent/domain/topics.ts';
import type { SinkDatabase } from '#agent/sink/database.ts';
import { openDatabase } from '#agent/sink/open-database.ts';
import { contiguous } from '#agent/sink/marks.ts';
import { type BenchRow, median, type SinkBenchOptions } from './bench-row.ts';
import { note } from './output.ts';

const devices = Array.from({ length: 64 }, (_none, index) => `bench-${index}`);
const epoch = '0123456789abcdef'.repeat(2);
const batch = 64;
const root = 'outpost/v1';
const counts = [1, 2, 4];

/** @throws OutpostError `bench-peer` when PostgreSQL or mosquitto is not here */
export async function benchSink({ events: wanted, rounds: times }: SinkBenchOptions): Promise<readonly BenchRow[]> {
  const events = Math.ceil(Number(wanted) / (batch * devices.length)) * batch * devices.length;
  const folder = mkdtempSync(join(tmpdir(), 'outpost-bench-sink-'));
  const cluster = startPostgres(folder, await freePort());
  try {
    await listens(cluster.port);
    const rates = new Map(counts.map((count) => [count, [] as number[]]));
    for (let round = 1; round <= Number(times); round += 1) {
      for (const count of counts) {
        const rate = await rateOf(count, events, folder, await cluster.database(`bench_${round}_${count}`));
        rates.get(count)?.push(rate);
        note(`round ${round} of ${times}: ${count} sinks, ${Math.round(rate)} events/s`);
      }
    }
    return rowsOf(rates, events);
  } finally {
    await cluster.end();
    await rm(folder, { recursive: true, force: true });
  }
}

function rowsOf(rates: ReadonlyMap<number, readonly number[]>, events: number): BenchRow[] {
  const one = median(rates.get(1) ?? []);
  return [...rates].map(([count, all]) => {
    const rate = median(all);
    return {
      what: `${events.toLocaleString('en')} events of 1 KiB into PostgreSQL, ${count} ${count === 1 ? 'sink' : 'sinks'}, events/s`,
      ours: Math.round(rate).toLocaleString('en'),
      against: Math.round(one).toLocaleString('en'),
      ratio: rate / one,
      // processors decide: the broker, the database and every sink want one
      goal: 'shown',
      met: true,
    };
  });
}

async function rateOf(count: number, events: number, folder: string, url: string): Promise<number> {
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  const lines = ['user root', `listener ${port} 127.0.0.1`, 'allow_anonymous true', 'max_queued_messages 0'];
  await writeFile(config, `${[...lines, 'max_inflight_messages 1000'].join('\n')}\n`);
  const broker = spawn('mosquitto', ['-c', config], { stdio: 'ignore' });
  const sinks: ChildProcess[] = [];
  try {
    await listens(port);
    await using database = await openDatabase(url, 'migrate');
    for (let index = 0; index < count; index += 1) sinks.push(await startSink(port, url, folder));
    for (const sink of sinks) sink.kill('SIGSTOP');
    await publishAll(port, events);
    const began = systemClock.monoMs();
    for (const sink of sinks) sink.kill('SIGCONT');
    while ((await committed(database)) < events) await systemClock.sleep(10);
    return (events * 1_000) / (systemClock.monoMs() - began);
  } finally {
    for (const child of [...sinks, broker]) await ended(child);
  }
}

async function committed(database: SinkDatabase): Promise<number> {
  const marks = await database.marksOf(devices);
  return marks.reduce((sum, { mark }) => sum + contiguous(mark), 0);
}

async function startSink(port: number, database: string, folder: string): Promise<ChildProcess> {
  const options = ['--broker', `mqtt://127.0.0.1:${port}`, '--database', database, '--key', join(folder, 'key.pem')];
  const main = process.argv[1] ?? '';
  const sink = spawn(process.execPath, [main, 'sink', ...options, '--json', '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const text of sink.stdout) if (String(text).includes('"ready"')) break;
  return sink;
}

/** As devices do: batches of 64. */
async function publishAll(port: number, events: number): Promise<void> {
  const line = await connectMqtt(
    {
      url: `mqtt://127.0.0.1:${port}`,
      clientId: 'bench',
      version: '5',
      keepaliveMs: 60_000,
      connectTimeoutMs: 10_000,
      clock: systemClock,
    },
    new AbortController().signal,
  );
  const each = events / devices.length;
  for (let first = 1; first <= each; first += batch) {
    await Promise.all(
      devices.map(async (device) => await line.publish(upTopic(root, device, 'event'), batchOf(device, first))),
    );
  }
  await line.end();
}

function batchOf(device: string, first: number): string {
  const data = { incident: 'bench', condition: 'black', durationMs: 1, detail: 'x'.repeat(600) } as const;
  const event = { kind: 'camera', phase: 'start', lane: 'event', subject: 'camera/front', data } as const;
  const at = { wallMs: systemClock.wallMs(), monoMs: systemClock.monoMs() };
  const encoded = encodeEvent({ ...event, ...at }, { device, epoch, boot: 1 }, 'synced');
  const head = encodeHead(epoch, 'event');
  return `[${Array.from({ length: batch }, (_none, index) => spliceSequence(head, encoded, first + index)).join(',')}]`;
}

/** A cluster of its own, with the settings that PostgreSQL comes with; it does not run as root. */
function startPostgres(folder: string, port: number) {
  const versions = '/usr/lib/postgresql';
  const bin = (existsSync(versions) ? readdirSync(versions) : [])
    .map((version) => join(versions, version, 'bin'))
    .at(-1);
  if (bin === undefined) throw new OutpostError('bench-peer', 'PostgreSQL is not here (apt-get install postgresql).');
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const as = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
  if (as.uid !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const init = ['-D', data, '-U', 'outpost', '--auth=trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(bin, 'initdb'), init, { ...as, cwd: folder, stdio: 'ignore' });
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`];
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
    ...as,
    cwd: folder,
    stdio: 'ignore',
  });
  const psql = ['-h', '127.0.0.1', '-p', String(port), '-U', 'outpost', '-d', 'postgres', '-q', '-c'];
  return {
    port,
    database: async (name: string): Promise<string> => {
      for (let tries = 0; ; tries += 1) {
        try {
          execFileSync(join(bin, 'psql'), [...psql, `CREATE DATABASE ${name}`], { stdio: 'ignore' });
          return `postgres://outpost@127.0.0.1:${port}/${name}`;
        } catch (thrown) {
          // it listens before it answers
          if (tries === 100) throw thrown;
          await systemClock.sleep(100);
        }
      }
    },
    end: async (): Promise<void> => await ended(server),
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGQUIT');
  const limit = new AbortController();
  const late = systemClock.sleep(2_000, limit.signal).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  await exited;
  limit.abort();
  await late;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listens(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ port, host: '127.0.0.1' });
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await systemClock.sleep(50);
  }
  throw new OutpostError('bench-peer', 'mosquitto or PostgreSQL does not start.');
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, statSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqlite } from '#agent/core/sqlite.ts';
import { mediaEvents } from '#agent/evidence/chunks.ts';
import { Mosquitto } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { Gate } from '#agent/testing/gate.ts';
import { NatsCluster, natsPassword } from '#agent/testing/nats.ts';
import { needsPostgres, Postgres } from '#agent/testing/postgres.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { newKey, signerOf } from '#agent/trust/keys.ts';
import { depth, many, openStore, startUplink } from '#agent/uplink/test-rig.ts';

const main = join(import.meta.dirname, '..', 'main.ts');
const root = join(import.meta.dirname, '../..');
let folder: string;
let running: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-sink-'));
});
afterEach(async () => {
  for (const child of running) await end(child, 'SIGKILL');
  running = [];
  await rm(folder, { recursive: true, force: true });
});

interface SinkProcess {
  readonly child: ChildProcess;
  /** JSON lines of its stdout. */
  readonly said: Record<string, unknown>[];
  readonly errors: () => string;
}

function startSink(...options: readonly string[]): SinkProcess {
  const key = join(folder, 'sink.pem');
  const child = spawn(process.execPath, [main, 'sink', '--json', '--key', key, ...options], { cwd: root });
  running.push(child);
  const said: Record<string, unknown>[] = [];
  let [out, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    const lines = out.split('\n');
    out = lines.pop() ?? '';
    said.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return { child, said, errors: () => errors };
}

async function readySink(...options: readonly string[]): Promise<SinkProcess> {
  const sink = startSink(...options);
  await eventually(() => {
    if (sink.child.exitCode !== null) throw new Error(sink.errors());
    return sink.said.some(({ event }) => event === 'ready');
  }, 'the sink is ready');
  return sink;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
  return child.exitCode;
}

interface Total {
  readonly appended: number;
  readonly received: number;
  readonly duplicates: number;
  readonly late: number;
  readonly lost: number;
}

function verify(...options: readonly string[]): { readonly status: number | null; readonly total: Total } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'verify', '--json', ...options], {
    cwd: root,
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return { status, total: (JSON.parse(stdout) as { total: Total }).total };
}

/** The key that the sinks of this test sign with; made before, since the devices must know it. */
async function makeKey(): Promise<string> {
  const key = newKey();
  await writeFile(join(folder, 'sink.pem'), key.privatePem, { mode: 0o600 });
  return key.publicBase64;
}

it.each([
  [['--broker', 'http://localhost'], 3],
  [['--broker', 'mqtt://localhost', '--root', 'A/b/c'], 3],
  [['--broker', 'mqtt://localhost', '--partition', '3/2'], 3],
  [['--broker', 'mqtt://localhost', '--database', 'oracle:x'], 3],
  [['--broker', 'mqtt://localhost', '--metrics', 'x'], 2],
  [['--broker', 'mqtt://localhost', '--password-file', '/nowhere'], 3],
])('refuses %j', async (options, code) => {
  const { child, errors, said } = startSink('--database', `sqlite:${join(folder, 'sink.db')}`, ...options);
  await once(child, 'exit');
  expect(child.exitCode).toBe(code);
  expect(errors() + JSON.stringify(said)).toMatch(/error/);
});

it('refuses to verify what is not there', () => {
  const nothing = spawnSync(process.execPath, [main, 'verify', '--database', `sqlite:${join(folder, 'no.db')}`], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(nothing.status).toBe(3);
  expect(nothing.stderr).toContain('sink-database-empty');
});

describeWith('outpost sink', [needsProgram('mosquitto')], () => {
  it('makes its key once, readable by its owner alone, and says what the devices need', async () => {
    await using broker = await Mosquitto.start();
    const options = ['--broker', broker.url, '--database', `sqlite:${join(folder, 'sink.db')}`, '--metrics', '0'];
    const first = await readySink(...options);
    const path = join(folder, 'sink.pem');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { publicBase64 } = signerOf(await readFile(path, 'utf8'));
    expect(first.said[0]).toMatchObject({ event: 'started', publicKey: publicBase64 });
    expect(first.said[1]).toMatchObject({ event: 'ready', version: '5', shared: true });
    const metrics = await fetch(`http://127.0.0.1:${String(first.said[0]?.['metricsPort'])}/metrics`);
    expect(await metrics.text()).toContain('outpost_sink_broker_connected 1');
    expect(await end(first.child, 'SIGTERM')).toBe(0);
    expect(first.said.at(-1)).toMatchObject({ event: 'ended', stored: 0 });
    const second = await readySink(...options);
    expect(second.said[0]).toMatchObject({ publicKey: publicBase64 });
  });

  it('that is killed between the commit and every acknowledgement loses nothing and stores nothing twice', async () => {
    await using broker = await Mosquitto.start();
    await using gate = await Gate.open(broker.port);
    const database = `sqlite:${join(folder, 'sink.db')}`;
    const consumers = [await makeKey()];
    const common = ['--database', database, '--name', 'sink-one'];
    const first = await readySink('--broker', `mqtt://127.0.0.1:${gate.port}`, ...common);
    // from here on the sink hears, and is not heard
    gate.swallow();
    const store = join(folder, 'device');
    await using outbox = await openStore(store);
    await using uplink = startUplink(outbox, { url: broker.url, consumers });
    await outbox.append([...many('event', 200), ...many('alarm', 3)]);
    const stored = (): number => {
      const db = openSqlite(join(folder, 'sink.db'), { readonly: true, busyMs: 1_000 });
      const count = Number(db.prepare('SELECT count(*) FROM outpost_event').pluck().get());
      db.close();
      return count;
    };
    await eventually(() => stored() === 203, 'all is committed');
    await end(first.child, 'SIGKILL');
    expect(depth(outbox)).toBe(203);
    expect(uplink.uplink.custody).toBe('consumer');
    await readySink('--broker', broker.url, ...common);
    await eventually(() => depth(outbox) === 0, 'the device is told');
    const { status, total } = verify('--database', database, '--store', store);
    expect(status).toBe(0);
    expect(total).toMatchObject({ appended: 203, received: 203, late: 0, lost: 0 });
    expect(total.duplicates).toBeGreaterThan(0);
  });

  it('brings a picture from the device into a folder, byte for byte', async () => {
    await using broker = await Mosquitto.start();
    const consumers = [await makeKey()];
    const pictures = join(folder, 'pictures');
    const database = `sqlite:${join(folder, 'sink.db')}`;
    await readySink('--broker', broker.url, '--database', database, '--media', pictures);
    await using outbox = await openStore(join(folder, 'device'));
    await using uplink = startUplink(outbox, { url: broker.url, consumers });
    const bytes = randomBytes(300_000);
    const piece = { id: 'i-1', mediaType: 'image/jpeg', subject: 'camera/front', wallMs: 0, monoMs: 0 };
    await outbox.append(mediaEvents({ ...piece, bytes }));
    const stored = await eventually(async () => {
      const names = await readdir(join(pictures, 'robot-07')).catch(() => []);
      return names.find((name) => name.endsWith('.jpg'));
    }, 'the picture is there');
    expect((await readFile(join(pictures, 'robot-07', stored))).equals(bytes)).toBe(true);
    await eventually(() => depth(outbox) === 0, 'the device is told');
    expect(uplink.codes()).toEqual([]);
  });

  it('says by its exit code that something is lost', async () => {
    await using broker = await Mosquitto.start();
    const database = `sqlite:${join(folder, 'sink.db')}`;
    await readySink('--broker', broker.url, '--database', database);
    const store = join(folder, 'device');
    await using outbox = await openStore(store);
    await outbox.append(many('event', 10));
    // what a broker that forgets does
    await outbox.ack('event', { epoch: outbox.epoch, seq: 4 });
    {
      await using uplink = startUplink(outbox, { url: broker.url });
      await eventually(() => depth(outbox) === 0 && uplink.uplink.custody === 'broker', 'the rest is gone');
    }
    await eventually(() => verify('--database', database, '--store', store).total.received === 6, 'the rest is there');
    const { status, total } = verify('--database', database, '--store', store);
    expect(total).toMatchObject({ appended: 10, received: 6, lost: 4 });
    expect(status).toBe(1);
    const text = spawnSync(process.execPath, [main, 'verify', '--database', database, '--store', store], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(text.stdout).toContain('lost of robot-07, event: 1-4');
  });
});

describeWith('two sinks on one PostgreSQL', [needsProgram('mosquitto'), needsPostgres], () => {
  it('killed again and again under load: nothing lost, nothing twice, from the device to the table', async () => {
    await using broker = await Mosquitto.start();
    await using server = await Postgres.start();
    const database = server.database('city');
    const consumers = [await makeKey()];
    const options = ['--broker', broker.url, '--database', database];
    const sinks = [await readySink(...options), await readySink(...options)];
    const store = join(folder, 'device');
    await using outbox = await openStore(store);
    await using uplink = startUplink(outbox, { url: broker.url, consumers });
    let appended = 0;
    const producing = (async () => {
      for (let n = 0; n < 200; n += 1) {
        await outbox.append([...many('event', 20, n * 20), ...many('telemetry', 5, n * 5), ...many('alarm', 1, n)]);
        appended += 26;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    for (let kill = 0; kill < 6; kill += 1) {
      const before = appended;
      await eventually(() => appended >= before + 260 || appended === 5_200, 'under way');
      const victim = sinks.shift();
      if (victim) await end(victim.child, 'SIGKILL');
      sinks.push(await readySink(...options));
    }
    await producing;
    await eventually(() => depth(outbox) === 0, 'the device is told of all');
    expect(uplink.codes()).toEqual([]);
    const { status, total } = verify('--database', database, '--store', store);
    expect(status).toBe(0);
    expect(total).toMatchObject({ appended: 5_200, received: 5_200, late: 0, lost: 0 });
    expect(server.query('city', 'SELECT count(*), count(DISTINCT (lane_id, seq)) FROM outpost_event')).toBe(
      '5200|5200',
    );
    // what up/state told proves the same
    await eventually(() => verify('--database', database).total.late === 0, 'the state is told');
    expect(verify('--database', database)).toMatchObject({ status: 0, total: { appended: 5_200, lost: 0 } });
  });
});

describeWith('sinks on a NATS cluster, by the example', [needsProgram('nats-server')], () => {
  it(
    'take a part of the devices each, with MQTT 3.1.1 and the rights of the example',
    { timeout: 240_000 },
    async () => {
      await using cluster = await NatsCluster.start();
      const consumers = [await makeKey()];
      const database = `sqlite:${join(folder, 'sink.db')}`;
      const secret = join(folder, 'secret');
      await writeFile(secret, `${natsPassword}\n`);
      const credentials = ['--username', 'outpost-sink', '--password-file', secret, '--database', database];
      const sinks = [];
      for (const index of [1, 2]) {
        sinks.push(await readySink('--broker', cluster.url(index), '--partition', `${index}/2`, ...credentials));
      }
      expect(sinks[0]?.said.at(-1)).toMatchObject({ event: 'ready', version: '3.1.1', shared: false });
      const store = join(folder, 'device');
      await using outbox = await openStore(store);
      const config = { url: cluster.url(0), username: 'robot-07', password: natsPassword, consumers };
      await using uplink = startUplink(outbox, config);
      await outbox.append([...many('event', 300), ...many('alarm', 3)]);
      await eventually(() => depth(outbox) === 0, 'the device is told');
      expect(uplink.uplink.custody).toBe('consumer');
      const { status, total } = verify('--database', database, '--store', store);
      expect(total).toMatchObject({ appended: 303, received: 303, lost: 0 });
      expect(status).toBe(0);
      for (const { child } of sinks) expect(await end(child, 'SIGTERM')).toBe(0);
      const stored = sinks.map(({ said }) => said.at(-1)?.['stored']);
      expect(stored.toSorted((a, b) => Number(a) - Number(b))).toEqual([0, 303]);
    },
  );
});

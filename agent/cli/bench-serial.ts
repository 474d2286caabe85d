/** `outpost bench serial`: the driver layer over its transport, the transport beside a program in C, decoding and load. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { systemClock as clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { silentLog } from '#agent/core/log.ts';
import { assetPath } from '#agent/core/program.ts';
import { seededRandom } from '#agent/core/random.ts';
import { Bus } from '#drivers/bus.ts';
import { type Driver, plainLine } from '#drivers/driver.ts';
import { openPeripheral } from '#drivers/open.ts';
import { driverNames, loadDriver } from '#drivers/registry.ts';
import { openSerial } from '#drivers/serial-transport.ts';
import type { Transport } from '#drivers/transport.ts';
import { type BenchRow, median, percentile } from './bench-row.ts';

export interface SerialBenchOptions {
  readonly rounds: string;
  readonly garbage: string;
  readonly seconds: string;
  readonly json?: boolean;
}

const asks = 5_000;
const oneWayBytes = 64 * 1024 ** 2;
const fast = { ...plainLine, baudRate: 115_200 };
const mostLayerUs = 20;

export async function benchSerial({ rounds, garbage, seconds }: SerialBenchOptions): Promise<readonly BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'outpost-bench-'));
  try {
    const peer = await buildPeer(folder);
    return [
      ...(await roundTrips(peer, Number(rounds))),
      await oneWay(peer, Number(rounds)),
      await eightPorts(peer, folder, Number(seconds)),
      await nmeaSpeed(Number(rounds)),
      ...(await floods(Number(garbage))),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildPeer(folder: string): Promise<string> {
  const program = join(folder, 'peer');
  await promisify(execFile)('cc', ['-O2', '-o', program, assetPath('drivers', 'bench', 'peer.c')]).catch(
    (cause: unknown) => {
      throw new OutpostError('bench-peer', 'The other end of the bench cannot be built.', { cause });
    },
  );
  return program;
}

interface Peer extends AsyncDisposable {
  readonly paths: readonly string[];
}

/** Its ports are the first lines that it prints. */
async function startPeer(program: string, words: readonly string[], ports = 1): Promise<Peer> {
  const child: ChildProcess = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const paths: string[] = [];
  if (child.stdout) {
    for await (const line of createInterface({ input: child.stdout })) {
      paths.push(line);
      if (paths.length === ports) break;
    }
  }
  return {
    paths,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const microseconds = (ns: number): string => `${(ns / 1_000).toFixed(1)} µs`;

async function roundTrips(peer: string, rounds: number): Promise<readonly BenchRow[]> {
  const all: { readonly c: number; readonly transport: number; readonly layer: number; readonly added: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await using echo = await startPeer(peer, ['echo']);
    const [path = ''] = echo.paths;
    const { stdout } = await promisify(execFile)(peer, ['ask', path, String(asks)]);
    const c = Number(stdout.split(' ')[0]);
    const transport = await withTransport(path, askByTransport);
    const layer = await withTransport(path, askByLink);
    all.push({ c, transport, layer, added: layer - transport });
  }
  const of = (key: keyof (typeof all)[number]): number => median(all.map((each) => each[key]));
  const addedUs = of('added') / 1_000;
  return [
    {
      what: 'round trip of 16 bytes, p50: driver layer over its own transport',
      ours: microseconds(of('layer')),
      against: microseconds(of('transport')),
      ratio: of('layer') / of('transport'),
      goal: `+${mostLayerUs} µs`,
      met: addedUs <= mostLayerUs,
    },
    {
      what: 'round trip of 16 bytes, p50: transport beside a program in C',
      ours: microseconds(of('transport')),
      against: microseconds(of('c')),
      ratio: of('transport') / of('c'),
      goal: 'told',
      met: true,
    },
  ];
}

async function withTransport<T>(path: string, work: (transport: Transport) => Promise<T>): Promise<T> {
  await using transport = await openSerial(path, fast, clock);
  return await work(transport);
}

const nowNs = (): number => clock.monoMs() * 1e6;

async function askByTransport(transport: Transport): Promise<number> {
  let missing = 0;
  let heard: () => void = () => undefined;
  transport.attach({
    onBytes: (bytes) => {
      missing -= bytes.length;
      if (missing === 0) heard();
    },
    onClosed: () => undefined,
  });
  const bytes = new Uint8Array(16).fill(0x55);
  return await timed(async () => {
    missing = bytes.length;
    const answer = new Promise<void>((resolve) => (heard = resolve));
    await transport.write(bytes);
    await answer;
  });
}

/** A frame of 16 bytes with a start, a length and a CRC-16, as `framed` makes it. */
async function askByLink(transport: Transport): Promise<number> {
  const driver = await loadDriver('framed');
  const options = driver.options.parse({
    frame: { start: 'AA', length: { size: 1 }, check: { kind: 'crc16-modbus' } },
    messages: [{ name: 'any' }],
  });
  using opened = openPeripheral({ driver, options, bus: new Bus(transport, clock), clock, log: silentLog });
  const message = { body: new Uint8Array(12).fill(0x55) };
  const { signal } = new AbortController();
  return await timed(async () => {
    const answer = await opened.link.request(message, { matches: () => true }, signal);
    if (answer.is !== 'answered') throw new OutpostError('bench-peer', 'The echo did not answer.');
  });
}

/** @returns the median in ns */
async function timed(exchange: () => Promise<void>): Promise<number> {
  for (let warm = 0; warm < 500; warm += 1) await exchange();
  const times: number[] = [];
  for (let round = 0; round < asks; round += 1) {
    const start = nowNs();
    await exchange();
    times.push(nowNs() - start);
  }
  return percentile(times, 0.5);
}

async function oneWay(peer: string, rounds: number): Promise<BenchRow> {
  const pairs: { readonly ours: number; readonly c: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await using first = await startPeer(peer, ['source', String(oneWayBytes)]);
    const { stdout } = await promisify(execFile)(peer, ['drain', first.paths[0] ?? '', String(oneWayBytes)]);
    await using second = await startPeer(peer, ['source', String(oneWayBytes)]);
    pairs.push({ c: Number(stdout), ours: await withTransport(second.paths[0] ?? '', drained) });
  }
  const [ours, c] = [median(pairs.map((pair) => pair.ours)), median(pairs.map((pair) => pair.c))];
  return {
    what: 'one way: transport beside a program in C',
    ours: `${ours.toFixed(0)} MB/s`,
    against: `${c.toFixed(0)} MB/s`,
    ratio: ours / c,
    goal: 'told',
    met: true,
  };
}

async function drained(transport: Transport): Promise<number> {
  let heard = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  transport.attach({
    onBytes: (bytes) => {
      heard += bytes.length;
      if (heard >= oneWayBytes) done();
    },
    onClosed: () => done(),
  });
  const start = nowNs();
  await transport.write(Uint8Array.of(0x21));
  await all;
  return (heard * 1e3) / (nowNs() - start);
}

/** A second's worth of a receiver's sentences, some 15 KB. */
async function sentences(gnss: Driver): Promise<Buffer> {
  const options = gnss.options.parse({});
  const codec = gnss.protocol(options).device();
  const simulator = gnss.simulator(options);
  const parts = Array.from({ length: 20 }, (_unused, second) =>
    (simulator.tell?.({ wallMs: 1.8e12 + second * 1_000, monoMs: 0 }) ?? []).map((message) => codec.encode(message)),
  );
  return Buffer.concat(parts.flat());
}

async function eightPorts(peer: string, folder: string, seconds: number): Promise<BenchRow> {
  const gnss = await loadDriver('nmea-gnss');
  const file = join(folder, 'sentences');
  await writeFile(file, await sentences(gnss));
  const rate = fast.baudRate / 10;
  await using pacer = await startPeer(peer, ['pace', file, String(rate), '8'], 8);
  const options = gnss.options.parse({});
  const stop = new AbortController();
  const opened = await Promise.all(
    pacer.paths.map(async (path) => {
      const transport = await openSerial(path, fast, clock);
      const peripheral = openPeripheral({
        driver: gnss,
        options,
        bus: new Bus(transport, clock),
        clock,
        log: silentLog,
      });
      return { transport, peripheral, fixes: count(peripheral.peripheral.observe(stop.signal)) };
    }),
  );
  await clock.sleep(1_000);
  const before = process.cpuUsage();
  await clock.sleep(seconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  stop.abort();
  const share = (user + system) / 1e6 / seconds;
  for (const { transport, peripheral } of opened) {
    peripheral[Symbol.dispose]();
    await transport[Symbol.asyncDispose]();
  }
  const readings = (await Promise.all(opened.map(async ({ fixes }) => await fixes))).reduce(
    (sum, each) => sum + each,
    0,
  );
  return {
    what: `eight ports at 115200 baud, full load, ${readings} readings`,
    ours: `${(share * 100).toFixed(1)} % of a core`,
    against: '-',
    ratio: share,
    goal: 'told',
    met: readings > 0,
  };
}

async function count(observations: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  try {
    for await (const observation of observations) found += observation === undefined ? 0 : 1;
  } catch {
    // ended by us
  }
  return found;
}

async function nmeaSpeed(rounds: number): Promise<BenchRow> {
  const gnss = await loadDriver('nmea-gnss');
  const text = await sentences(gnss);
  const options = gnss.options.parse({});
  const speeds = Array.from({ length: rounds }, () => {
    const codec = gnss.protocol(options).host();
    const make = gnss.decoder(options);
    const times = Math.ceil((16 * 1024 ** 2) / text.length);
    const start = nowNs();
    for (let time = 0; time < times; time += 1) for (const message of codec.push(text).messages) make?.(message);
    return (times * text.length * 1e3) / (nowNs() - start);
  });
  const speed = median(speeds);
  return {
    what: 'NMEA to fixes',
    ours: `${speed.toFixed(1)} MB/s`,
    against: '11.5 kB/s, a port',
    ratio: speed / 0.011_52,
    goal: 'told',
    met: true,
  };
}

/** Random bytes through every driver's codec: what it holds back, and what the process grows by. */
async function floods(megabytes: number): Promise<readonly BenchRow[]> {
  const random = seededRandom(7);
  const block = Uint8Array.from({ length: 1024 ** 2 }, () => Math.floor(random() * 256));
  const rows: BenchRow[] = [];
  for (const name of driverNames) {
    const driver = await loadDriver(name);
    const codec = driver.protocol(driver.options.parse(driver.example)).host();
    for (let warm = 0; warm < 8; warm += 1) codec.push(block);
    const [before, start] = [process.memoryUsage.rss(), nowNs()];
    for (let sent = 0; sent < megabytes; sent += 1) codec.push(block);
    const speed = (megabytes * block.length * 1e3) / (nowNs() - start);
    const grown = Math.max(0, process.memoryUsage.rss() - before) / 1024 ** 2;
    rows.push({
      what: `${name}: ${megabytes} MiB of garbage at ${speed.toFixed(0)} MB/s, held back ${codec.pending} of ${codec.limit} bytes`,
      ours: `+${grown.toFixed(0)} MiB resident`,
      against: 'flat',
      ratio: grown,
      goal: '<= 32 MiB',
      met: grown <= 32 && codec.pending <= codec.limit,
    });
  }
  return rows;
}

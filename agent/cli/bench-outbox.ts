/**
 * The outbox against its disk, its own idle self and a mosquitto bridge: each pair in turn, within one run.
 *
 *   single append : the disk's own overwrite and fdatasync      256 producers : 120,000 a second, loop's delay
 *   drain         : 120,000 a second, a bridge's drain, mTLS    growth        : 1,000 to 1,000,000 waiting
 *   alarm         : append to PUBACK, idle and behind a drain, against 10 ms
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '#agent/core/clock.ts';
import { programCommand } from '#agent/core/program.ts';
import type { Outbox, Position } from '#agent/outbox/outbox.ts';
import { benchEvent, fillTo, openBenchOutbox } from './bench-outbox-store.ts';
import { alarmRows } from './bench-outbox-alarm.ts';
import { drainRows } from './bench-outbox-drain.ts';
import { type BenchRow, median, type OutboxBenchOptions, percentile } from './bench-row.ts';
import { note } from './output.ts';

const producers = 256;

export async function benchOutbox(options: OutboxBenchOptions): Promise<readonly BenchRow[]> {
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), 'outpost-bench-'));
  const rounds = Math.max(1, Number(options.rounds));
  const wanted = options.only?.split(',') ?? ['single', 'producers', 'loop', 'growth', 'drain', 'alarm'];
  try {
    if (options.slow === true) return [await slowDisk(folder)];
    const rows: BenchRow[] = [];
    if (wanted.includes('single')) rows.push(await singleAppend(folder, rounds));
    if (wanted.includes('producers')) rows.push(...(await manyProducers(folder, rounds)));
    if (wanted.includes('loop')) rows.push(...(await slowFsync()));
    if (wanted.includes('growth')) rows.push(...(await growth(folder)));
    if (wanted.includes('alarm')) rows.push(...(await alarmRows(folder, Number(options.events), rounds)));
    if (wanted.includes('drain')) rows.push(...(await drainRows(folder, Number(options.events), rounds)));
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function singleAppend(folder: string, rounds: number): Promise<BenchRow> {
  await using outbox = await openBenchOutbox(join(folder, 'single'));
  const disk = openSync(join(folder, 'disk'), 'w');
  const page = Buffer.alloc(4_096, 1);
  const [ours, against]: [number[], number[]] = [[], []];
  try {
    writeSync(disk, page, 0, page.length, 0);
    for (let n = 0; n < rounds * 200; n += 1) {
      const begin = systemClock.monoMs();
      writeSync(disk, page, 0, page.length, 0);
      fdatasyncSync(disk);
      const between = systemClock.monoMs();
      await outbox.append([benchEvent(n)]);
      against.push(between - begin);
      ours.push(systemClock.monoMs() - between);
    }
  } finally {
    closeSync(disk);
  }
  const [own, limit] = [median(ours), median(against)];
  return {
    what: 'single durable append, p50, against overwrite and fdatasync of 4 KiB',
    ours: `${own.toFixed(3)} ms`,
    against: `${limit.toFixed(3)} ms`,
    ratio: own / limit,
    goal: '<= 2.2',
    met: own / limit <= 2.2,
  };
}

interface Load {
  readonly rate: number;
  readonly delayMs: number;
  readonly latenciesMs: readonly number[];
}

/** Each producer waits for its own append before the next. */
async function load(outbox: Outbox, count: number): Promise<Load> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const latenciesMs: number[] = [];
  let given = 0;
  delay.enable();
  const begin = systemClock.monoMs();
  await Promise.all(
    Array.from({ length: producers }, async () => {
      while (given < count) {
        given += 1;
        const before = systemClock.monoMs();
        await outbox.append([benchEvent(given)]);
        latenciesMs.push(systemClock.monoMs() - before);
      }
    }),
  );
  const seconds = (systemClock.monoMs() - begin) / 1_000;
  delay.disable();
  return { rate: latenciesMs.length / seconds, delayMs: delay.percentile(99) / 1e6, latenciesMs };
}

/** What the loop of a process that does nothing is late by: on a busy machine not nothing. */
async function idleDelayMs(): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await systemClock.sleep(1_000);
  delay.disable();
  return delay.percentile(99) / 1e6;
}

const delayRow = (what: string, delayMs: number, idleMs: number): BenchRow => ({
  what,
  ours: `${delayMs.toFixed(1)} ms`,
  against: `${idleMs.toFixed(1)} ms idle`,
  ratio: delayMs / 5,
  goal: '< 5 ms',
  met: delayMs < 5,
});

async function manyProducers(folder: string, rounds: number): Promise<readonly BenchRow[]> {
  await using outbox = await openBenchOutbox(join(folder, 'producers'));
  await load(outbox, 20_000);
  const [loads, bare, idle]: [Load[], number[], number[]] = [[], [], []];
  for (let round = 1; round <= rounds; round += 1) {
    idle.push(await idleDelayMs());
    bare.push(groupedWrites(join(folder, 'disk'), 400));
    const one = await load(outbox, 120_000);
    loads.push(one);
    note(`round ${round} of ${rounds}: ${Math.round(one.rate)} appends/s, loop p99 ${one.delayMs.toFixed(1)} ms`);
  }
  const rate = median(loads.map((one) => one.rate));
  const limit = median(bare);
  return [
    {
      what: '256 producers of 1 KiB, durable appends/s',
      ours: Math.round(rate).toLocaleString('en'),
      against: '120,000',
      ratio: rate / 120_000,
      goal: '>= 1',
      met: rate >= 120_000,
    },
    {
      what: 'the same against the disk alone, 256 KiB appended and synced at a time (no goal)',
      ours: Math.round(rate).toLocaleString('en'),
      against: Math.round(limit).toLocaleString('en'),
      ratio: rate / limit,
      goal: '-',
      met: true,
    },
    delayRow('event-loop delay p99 under that load', median(loads.map((one) => one.delayMs)), median(idle)),
  ];
}

/** @returns events a second, were 256 of 1 KiB written and synced at a time, and nothing else done */
function groupedWrites(path: string, times: number): number {
  const file = openSync(path, 'w');
  const group = Buffer.alloc(producers * 1_024, 1);
  try {
    const begin = systemClock.monoMs();
    for (let n = 0; n < times; n += 1) {
      writeSync(file, group);
      fdatasyncSync(file);
    }
    return (times * producers * 1_000) / (systemClock.monoMs() - begin);
  } finally {
    closeSync(file);
  }
}

/** The same program again, under strace, which holds every fsync for 200 ms. */
async function slowFsync(): Promise<readonly BenchRow[]> {
  const [program, ...leading] = programCommand();
  const inject = 'inject=fsync,fdatasync:delay_enter=200000';
  const strace = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-e', inject, '-o', '/dev/null'];
  const child = spawn('strace', [...strace, program, ...leading, 'bench', 'outbox', '--slow', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const failed = await Promise.race([once(child, 'error').then(() => true), once(child, 'close').then(() => false)]);
  if (failed) {
    note('Without strace the slow disk is left out.');
    return [];
  }
  return JSON.parse(text) as BenchRow[];
}

async function slowDisk(folder: string): Promise<BenchRow> {
  await using outbox = await openBenchOutbox(join(folder, 'slow'));
  const idle = await idleDelayMs();
  const { delayMs } = await load(outbox, 5_000);
  return delayRow('event-loop delay p99 while each fsync takes 200 ms', delayMs, idle);
}

/** Append p99 and the rate of reading and removing with more and more waiting. */
async function growth(folder: string): Promise<readonly BenchRow[]> {
  await using outbox = await openBenchOutbox(join(folder, 'growth'));
  const p99: number[] = [];
  const rates: number[] = [];
  for (const waiting of [1_000, 100_000, 1_000_000]) {
    await fillTo(outbox, waiting);
    const appends: number[] = [];
    for (let n = 0; n < 2_000; n += 1) {
      const begin = systemClock.monoMs();
      await outbox.append([benchEvent(n)]);
      appends.push(systemClock.monoMs() - begin);
    }
    p99.push(percentile(appends, 0.99));
    rates.push(
      median([await removeRate(outbox, 1_000), await removeRate(outbox, 1_000), await removeRate(outbox, 1_000)]),
    );
    await fillTo(outbox, waiting);
    note(
      `${waiting} waiting: append p99 ${p99.at(-1)?.toFixed(2)} ms, ${Math.round(rates.at(-1) ?? 0)} read and removed/s`,
    );
  }
  const spread = (what: string, values: readonly number[], show: (value: number) => string): BenchRow => {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const met = most / least <= 1.3;
    return { what, ours: show(most), against: show(least), ratio: most / least, goal: '<= 1.3', met };
  };
  return [
    spread('append p99 with 1,000, 100,000 and 1,000,000 waiting', p99, (value) => `${value.toFixed(2)} ms`),
    spread('read and removed/s with as many waiting', rates, (value) => Math.round(value).toLocaleString('en')),
  ];
}

/** Batches of 64, removed every 8, as the uplink does. */
async function removeRate(outbox: Outbox, events: number): Promise<number> {
  const begin = systemClock.monoMs();
  let after: Position | undefined;
  let [batches, removed] = [0, 0];
  const removing: Promise<void>[] = [];
  while (removed < events) {
    const batch = await outbox.peek('event', after, { maxEvents: Math.min(64, events - removed), maxBytes: 1024 ** 2 });
    if (!batch) break;
    after = { epoch: batch.epoch, seq: batch.last };
    removed += batch.count;
    batches += 1;
    if (batches % 8 === 0) removing.push(outbox.ack('event', after));
  }
  if (after) removing.push(outbox.ack('event', after));
  await Promise.all(removing);
  return (removed * 1_000) / (systemClock.monoMs() - begin);
}

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
import { OutpostError } from '#agent/core/errors.ts';
import { programCommand } from '#agent/core/program.ts';
import { openSqlite } from '#agent/core/sqlite.ts';
import type { Outbox } from '#agent/outbox/outbox.ts';
import { growth } from './bench-outbox-growth.ts';
import { benchEvent, openBenchOutbox } from './bench-outbox-store.ts';
import { alarmRows } from './bench-outbox-alarm.ts';
import { drainRows } from './bench-outbox-drain.ts';
import { type BenchRow, median, type OutboxBenchOptions, outboxParts } from './bench-row.ts';
import { note } from './output.ts';

const producers = 256;
const warmUpAppends = 1_500;
const appendsARound = 120_000;

export async function benchOutbox(options: OutboxBenchOptions): Promise<readonly BenchRow[]> {
  const wanted = options.only ?? outboxParts;
  if (options.slow !== true && wanted.length > 1) return await inProcesses(wanted, options);
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), 'outpost-bench-'));
  const rounds = Math.max(1, Number(options.rounds));
  try {
    if (options.slow === true) return [await slowDisk(folder)];
    const rows: BenchRow[] = [];
    if (wanted.includes('single')) rows.push(...(await singleAppend(folder, rounds)));
    if (wanted.includes('producers')) rows.push(...(await manyProducers(folder, rounds)));
    if (wanted.includes('loop')) rows.push(...(await slowFsync()));
    if (wanted.includes('growth')) rows.push(...(await growth(folder, rounds)));
    if (wanted.includes('alarm')) rows.push(...(await alarmRows(folder, Number(options.events), rounds)));
    if (wanted.includes('drain')) rows.push(...(await drainRows(folder, Number(options.events), rounds)));
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In a row, so that each finds what the one before it left: threads awake or asleep, the disk's own caches. */
const inARow = 200;
const restMs = 10;

async function singleAppend(folder: string, rounds: number): Promise<readonly BenchRow[]> {
  await using outbox = await openBenchOutbox(join(folder, 'single'));
  const disk = openSync(join(folder, 'disk'), 'w');
  const page = Buffer.alloc(4_096, 1);
  const bare = bareSqlite(join(folder, 'bare.db'));
  const overwrite = (): void => {
    writeSync(disk, page, 0, page.length, 0);
    fdatasyncSync(disk);
  };
  const append = async (): Promise<void> => void (await outbox.append([benchEvent(0)]));
  const measure = async (times: number, pauseMs: number): Promise<Record<'ours' | 'sqlite' | 'disk', number>> => {
    const [ours, sqlite, against]: [number[], number[], number[]] = [[], [], []];
    while (ours.length < times) {
      await timed(overwrite, against, pauseMs);
      await timed(append, ours, pauseMs);
      await timed(() => bare.append(0), sqlite, pauseMs);
    }
    return { ours: median(ours), sqlite: median(sqlite), disk: median(against) };
  };
  try {
    // before them: the engine has compiled what runs all the time, and both logs have their full length
    await measure(warmUpAppends, 0);
    const busy = await measure(rounds * 400, 0);
    const rested = await measure(rounds * 100, restMs);
    const row = (what: string, own: number, limit: number, goal = Number.POSITIVE_INFINITY): BenchRow => ({
      what,
      ours: `${own.toFixed(3)} ms`,
      against: `${limit.toFixed(3)} ms`,
      ratio: own / limit,
      goal: Number.isFinite(goal) ? `<= ${goal}` : '-',
      met: own / limit <= goal,
    });
    return [
      row('single durable append, p50, against overwrite and fdatasync of 4 KiB', busy.ours, busy.disk, 2.2),
      row(
        'of it what SQLite takes, called from this thread: a row, a counter, a commit (no goal)',
        busy.sqlite,
        busy.disk,
      ),
      row(`the same append when ${restMs} ms of nothing come before it (no goal)`, rested.ours, rested.disk),
    ];
  } finally {
    closeSync(disk);
    bare.close();
  }
}

async function timed(deed: () => void | Promise<void>, tookMs: number[], pauseMs: number): Promise<void> {
  for (let n = 0; n < inARow; n += 1) {
    if (pauseMs > 0) await systemClock.sleep(pauseMs);
    const begin = systemClock.monoMs();
    await deed();
    tookMs.push(systemClock.monoMs() - begin);
  }
}

/** The same two writes with the same settings, and nothing around them. */
function bareSqlite(path: string): { append(n: number): void; close(): void } {
  const db = openSqlite(path, { busyMs: 0 });
  db.pragma('page_size = 8192');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE event (id INTEGER PRIMARY KEY, json TEXT); CREATE TABLE lane (last INTEGER)');
  db.exec('INSERT INTO lane VALUES (0)');
  const [insert, count] = [db.prepare('INSERT INTO event (json) VALUES (?)'), db.prepare('UPDATE lane SET last = ?')];
  const text = 'x'.repeat(1_000);
  const append = db.transaction((n: number) => {
    insert.run(text);
    count.run(n);
  });
  return { append: (n) => append.immediate(n), close: () => db.close() };
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
  // an agent runs for weeks: the engine has compiled what runs all the time
  await load(outbox, appendsARound);
  const [loads, bare, idle]: [Load[], number[], number[]] = [[], [], []];
  for (let round = 1; round <= rounds; round += 1) {
    idle.push(await idleDelayMs());
    bare.push(groupedWrites(join(folder, 'disk'), 400));
    const one = await load(outbox, appendsARound);
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

/**
 * Each part in a process of its own: an agent has one outbox, and what V8 finds to be one, and then many, is slower by a
 * tenth.
 */
async function inProcesses(wanted: readonly string[], options: OutboxBenchOptions): Promise<readonly BenchRow[]> {
  const { rounds, events, folder } = options;
  const shared = ['--rounds', rounds, '--events', events, ...(folder === undefined ? [] : ['--folder', folder])];
  const rows: BenchRow[] = [];
  for (const only of wanted) rows.push(...((await benchAgain([], [...shared, '--only', only])) ?? []));
  return rows;
}

/** The same program again, under strace, which holds every fsync for 200 ms. */
async function slowFsync(): Promise<readonly BenchRow[]> {
  const inject = 'inject=fsync,fdatasync:delay_enter=200000';
  const strace = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-e', inject, '-o', '/dev/null'];
  const rows = await benchAgain(['strace', ...strace], ['--slow']);
  if (!rows) note('Without strace the slow disk is left out.');
  return rows ?? [];
}

/** @returns undefined when the program that runs it cannot be started */
async function benchAgain(
  under: readonly string[],
  options: readonly string[],
): Promise<readonly BenchRow[] | undefined> {
  const [program, ...leading] = [...under, ...programCommand(), 'bench', 'outbox', '--json', ...options];
  const child = spawn(program ?? '', leading, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const failed = await Promise.race([once(child, 'error').then(() => true), once(child, 'close').then(() => false)]);
  if (failed) return undefined;
  if (text === '') throw new OutpostError('internal', 'A part of the bench ended without its figures; see above.');
  return JSON.parse(text) as BenchRow[];
}

async function slowDisk(folder: string): Promise<BenchRow> {
  await using outbox = await openBenchOutbox(join(folder, 'slow'));
  const idle = await idleDelayMs();
  const { delayMs } = await load(outbox, 5_000);
  return delayRow('event-loop delay p99 while each fsync takes 200 ms', delayMs, idle);
}

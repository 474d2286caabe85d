/**
 * How long an alarm takes from its append to its PUBACK, with nothing else to do and while a backlog drains. Beside it, in
 * turn, the least that it could be: 4 KiB overwritten and synced, then a bare publish on a line of its own. The same through
 * a line of 10 Mbit/s, each connection with its own and, without a goal, all in one queue.
 *
 *   append(alarm) -> fsync -> line of lane alarm -> mosquitto -> PUBACK -> the uplink removes it: here the watch stops
 *   200,000 events = = = = => main line = = = = = ^
 */
import { spawnSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import type { Outbox } from '#agent/outbox/outbox.ts';
import { Uplink, type UplinkOptions } from '#agent/uplink/uplink.ts';
import { uplinkSchema } from '#config/schema.ts';
import { Broker, connect, Subscriber } from './bench-mosquitto.ts';
import { benchEvent, fillTo, openBenchOutbox } from './bench-outbox-store.ts';
import { type BenchRow, percentile } from './bench-row.ts';
import { SlowLine } from './bench-slow-line.ts';
import { note } from './output.ts';

const limitMs = 10;
const idleAlarms = 200;
const apartMs = 5;
const tenMegabits = 10e6 / 8;
/** As many as drain through 10 Mbit/s while the alarms are sent. */
const slowBacklog = 20_000;

type Line = 'loopback' | 'own' | 'shared';

/** @param events that wait when the drain begins */
export async function alarmRows(folder: string, events: number, rounds: number): Promise<readonly BenchRow[]> {
  if (spawnSync('mosquitto', ['-h']).error) {
    note('Without mosquitto the alarms are left out.');
    return [];
  }
  await using outbox = await openBenchOutbox(join(folder, 'alarm'));
  const count = events.toLocaleString('en');
  const cases: readonly Case[] = [
    { when: 'idle', line: 'loopback', backlog: 0 },
    { when: `while ${count} events of 1 KiB drain`, line: 'loopback', backlog: events },
    { when: 'through 10 Mbit/s, idle', line: 'own', backlog: 0 },
    { when: 'through 10 Mbit/s, while events drain', line: 'own', backlog: slowBacklog },
    { when: 'the same, all connections in one queue (no goal)', line: 'shared', backlog: slowBacklog },
  ];
  const measured = cases.map((): Measured => ({ ours: [], bare: [] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, one] of cases.entries()) {
      const so = measured[index] ?? { ours: [], bare: [] };
      await measure(outbox, folder, one, so);
      note(`round ${round} of ${rounds}: ${one.when}: ${shown(so.ours)} of ${so.ours.length} so far`);
    }
  }
  return cases.map((one, index) => row(one, measured[index] ?? { ours: [], bare: [] }));
}

interface Case {
  readonly when: string;
  readonly line: Line;
  /** Events that wait when the drain begins. */
  readonly backlog: number;
}

/** Milliseconds. */
interface Measured {
  readonly ours: number[];
  readonly bare: number[];
}

const shown = (latenciesMs: readonly number[]): string =>
  `${percentile(latenciesMs, 0.5).toFixed(2)} / ${percentile(latenciesMs, 0.99).toFixed(2)} ms`;

function row({ when, line }: Case, { ours, bare }: Measured): BenchRow {
  const ratio = percentile(ours, 0.99) / limitMs;
  const hasGoal = line !== 'shared';
  return {
    what: `alarm, append to PUBACK, ${when}: p50 / p99 of ${ours.length}`,
    ours: shown(ours),
    against: `${limitMs} ms (bare: ${shown(bare)})`,
    ratio,
    goal: hasGoal ? '< 1' : '-',
    met: !hasGoal || ratio < 1,
  };
}

/** One alarm after the other: so many, or on loopback as long as what waits is being drained. */
async function measure(outbox: Outbox, folder: string, { line: kind, backlog }: Case, so: Measured): Promise<void> {
  const { ours, bare } = so;
  await fillTo(outbox, backlog);
  await using broker = await Broker.start(folder, []);
  await using subscriber = await Subscriber.start(broker.port, folder, false);
  await using disk = await open(join(folder, 'disk'), 'w');
  await using slow =
    kind === 'loopback' ? undefined : await SlowLine.before(broker.port, tenMegabits, kind === 'shared');
  const port = slow?.port ?? broker.port;
  const line = await connect(port);
  const page = Buffer.alloc(4_096, 1);
  await disk.write(page, 0, page.length, 0);
  const watch = new Watch(outbox);
  const ending = new AbortController();
  const running = startUplink(watch.source, port, ending.signal);
  const last = ours.length + idleAlarms;
  const goesOn = (): boolean =>
    subscriber.isThere &&
    (backlog === 0 || outbox.state.event.depth > 0) &&
    ((backlog > 0 && kind === 'loopback') || ours.length < last);
  const hasBegun = (): boolean => backlog === 0 || outbox.state.event.depth < backlog;
  try {
    // the line of lane alarm is up when the first has gone
    await watch.alarm(outbox);
    while (!hasBegun()) await systemClock.sleep(1);
    while (goesOn()) {
      ours.push(await watch.alarm(outbox));
      await systemClock.sleep(apartMs);
      const begin = systemClock.monoMs();
      await disk.write(page, 0, page.length, 0);
      await disk.datasync();
      await line.publish('bench', page.subarray(0, 1_024));
      bare.push(systemClock.monoMs() - begin);
      await systemClock.sleep(apartMs);
    }
  } finally {
    ending.abort();
    await running;
    await line.end();
  }
}

/** An outbox that tells when the uplink has an alarm acknowledged. */
class Watch {
  readonly source: UplinkOptions['outbox'];
  #acknowledged: (() => void) | undefined;

  constructor(outbox: Outbox) {
    this.source = {
      get epoch() {
        return outbox.epoch;
      },
      get boot() {
        return outbox.boot;
      },
      get state() {
        return outbox.state;
      },
      get slots() {
        return outbox.slots;
      },
      peek: async (lane, after, limits) => await outbox.peek(lane, after, limits),
      ack: async (lane, upto, missing) => {
        if (lane === 'alarm') this.#acknowledged?.();
        await outbox.ack(lane, upto, missing);
      },
      setAside: async (lane, at) => await outbox.setAside(lane, at),
      onAppend: (listener) => outbox.onAppend(listener),
      onTakenOver: (listener) => outbox.onTakenOver(listener),
    };
  }

  /** @returns ms until its PUBACK */
  async alarm(outbox: Outbox): Promise<number> {
    const begin = systemClock.monoMs();
    const acknowledged = new Promise<void>((resolve) => {
      this.#acknowledged = resolve;
    });
    await outbox.append([{ ...benchEvent(0), lane: 'alarm' }]);
    await acknowledged;
    return systemClock.monoMs() - begin;
  }
}

async function startUplink(source: UplinkOptions['outbox'], port: number, signal: AbortSignal): Promise<void> {
  const uplink = new Uplink({
    outbox: source,
    config: uplinkSchema.parse({ url: `mqtt://localhost:${port}` }),
    device: 'bench',
    health: new Health(systemClock),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  await uplink.run(signal);
}

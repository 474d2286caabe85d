/**
 * What a fleet costs: devices of the real outbox and uplink in this process, a mosquitto beside it, and how much of a core
 * both of them take for each event.
 *
 *   few devices, many events -> processor time an event       many devices, few events -> processor time a device
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OutpostError } from '#agent/core/errors.ts';
import { processSeconds } from '#agent/core/process-time.ts';
import { Broker, Subscriber } from './bench-mosquitto.ts';
import type { BenchRow, FleetBenchOptions } from './bench-row.ts';
import { simulateFleet } from './fleet/fleet.ts';
import { note } from './output.ts';

interface Load {
  readonly devices: number;
  /** Events a second of each. */
  readonly rate: number;
}

const gibibyte = 1024 ** 3;

/** @throws OutpostError `bench-peer` without mosquitto */
export async function benchFleet(options: FleetBenchOptions): Promise<readonly BenchRow[]> {
  if (spawnSync('mosquitto', ['-h']).error) {
    throw new OutpostError('bench-peer', 'mosquitto is not here.', { hint: 'apt-get install mosquitto' });
  }
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), 'outpost-bench-fleet-'));
  const devices = Number(options.devices);
  const seconds = Number(options.seconds);
  try {
    const busy = await run(folder, { devices: Math.max(1, Math.round(devices / 10)), rate: 500 }, seconds);
    const calm = await run(folder, { devices, rate: 1 }, seconds);
    return [
      {
        what: `events/s that one core carries, ${busy.devices} devices of ${busy.rate} events/s each, against mosquitto's`,
        ...against(busy.eventsPerSecond / busy.cores, busy.eventsPerSecond / busy.brokerCores),
      },
      {
        what: `devices that one core carries, of 1 event/s each, ${calm.devices} of them, against mosquitto's`,
        ...against(calm.devices / calm.cores, calm.devices / calm.brokerCores),
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const against = (ours: number, peer: number): Omit<BenchRow, 'what'> => ({
  ours: Math.round(ours).toLocaleString('en'),
  against: Math.round(peer).toLocaleString('en'),
  ratio: ours / peer,
  goal: '-',
  met: true,
});

interface Cost extends Load {
  readonly eventsPerSecond: number;
  readonly cores: number;
  readonly brokerCores: number;
}

async function run(folder: string, load: Load, seconds: number): Promise<Cost> {
  await using broker = await Broker.start(folder, []);
  await using subscriber = await Subscriber.start(broker.port, folder, false);
  const before = processSeconds(broker.pid);
  const report = await simulateFleet(
    {
      ...load,
      seconds,
      outages: [],
      broker: `mqtt://127.0.0.1:${broker.port}`,
      prefix: 'bench',
      uplink: { root: 'outpost/v1', consumers: [] },
      storeBytes: gibibyte / 16,
      settleMs: 60_000,
      folder,
    },
    new AbortController().signal,
  );
  const brokerSeconds = processSeconds(broker.pid) - before;
  const lost = report.appended - report.acknowledged;
  note(
    `${load.devices} devices of ${load.rate} events/s: ${Math.round(report.eventsPerSecond)} events/s, ` +
      `${report.cores.toFixed(2)} cores, mosquitto ${(brokerSeconds / report.loadSeconds).toFixed(2)}, not acknowledged ${lost}`,
  );
  if (!subscriber.isThere) throw new OutpostError('bench-peer', 'The subscriber ended.');
  const { eventsPerSecond, cores, loadSeconds } = report;
  return { ...load, eventsPerSecond, cores, brokerCores: brokerSeconds / loadSeconds };
}

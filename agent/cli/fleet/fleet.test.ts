/** A small fleet through an outage: everything arrives, each once, and nothing stays behind on the disk. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '#agent/testing/broker.ts';
import { type FleetOptions, simulateFleet } from './fleet.ts';
import { parseOutages } from './outages.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-fleet-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const options = (): FleetOptions => ({
  devices: 3,
  seconds: 3,
  rate: 40,
  outages: [],
  broker: 'embedded',
  prefix: 'fleet',
  uplink: { root: 'outpost/v1', consumers: [] },
  storeBytes: 4 * 1024 ** 2,
  settleMs: 100_000,
  folder,
});

it('brings every event of every device to the broker, each once, through an outage of all', async () => {
  const phases = new Set<string>();
  const report = await simulateFleet(
    {
      ...options(),
      outages: parseOutages('1s+500ms') ?? [],
      onProgress: ({ phase }) => phases.add(phase),
    },
    new AbortController().signal,
  );
  expect(report).toMatchObject({ devices: 3, custody: 'broker', refused: 0, waiting: 0, lastError: undefined });
  expect(report.appended).toBeGreaterThan(100);
  expect(report.acknowledged).toBe(report.appended);
  expect(report.arrivals).toMatchObject({ received: report.appended, declared: 0, lost: 0 });
  expect(report.reconnects).toBeGreaterThanOrEqual(3);
  expect(phases).toContain('load');
  expect(await readdir(folder)).toEqual([]);
});

it('keeps everything when nobody answers, says why, and ends when it is told to', async () => {
  const stop = new AbortController();
  const broker = `mqtt://127.0.0.1:${await freePort()}`;
  const running = simulateFleet(
    { ...options(), devices: 1, seconds: 600, broker, onProgress: ({ phase }) => phase === 'load' && stop.abort() },
    stop.signal,
  );
  const report = await running;
  expect(report.appended).toBeGreaterThan(0);
  expect(report).toMatchObject({ acknowledged: 0, waiting: report.appended, arrivals: undefined });
  expect(report.lastError).toMatchObject({ code: expect.stringMatching(/^broker-/) as string });
  expect(await readdir(folder)).toEqual([]);
});

it('makes no outage where TLS would notice', async () => {
  const wanted = { ...options(), broker: 'mqtts://127.0.0.1:8883', outages: parseOutages('10s/3s') ?? [] };
  await expect(simulateFleet(wanted, new AbortController().signal)).rejects.toMatchObject({ code: 'config-invalid' });
  expect(await readdir(folder)).toEqual([]);
});

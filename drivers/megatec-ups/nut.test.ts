/** Network UPS Tools, as a peer: its two drivers take our simulator for a UPS, and say of it what we say. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { seededRandom } from '#agent/core/random.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { openPty } from '../pty.ts';
import { simulate } from '../simulator.ts';
import { driver } from './driver.ts';

interface Said {
  readonly variables: ReadonlyMap<string, string>;
  readonly state: Readonly<Record<string, unknown>>;
}

const needs = [
  needsProgram('/lib/nut/nutdrv_qx', 'nut-server'),
  needsProgram('/lib/nut/blazer_ser', 'nut-server'),
  needsProgram('perl'),
  needsProgram('stty', 'coreutils'),
];

describeWith('Network UPS Tools', needs, () => {
  it.each([
    ['nutdrv_qx', ['-x', 'protocol=megatec']],
    ['nutdrv_qx', []],
    ['blazer_ser', []],
  ])('%s %j takes the simulator for a UPS', async (program, more) => {
    const { variables } = await said(program, [...more, '-d', '1']);
    expect(Object.fromEntries(variables)).toMatchObject({
      'ups.status': 'OL',
      'ups.beeper.status': 'enabled',
      'ups.type': 'offline / line interactive',
      'input.voltage': '226.0',
      'output.voltage': '226.0',
      'input.frequency': '49.0',
      'battery.voltage': '27.50',
      'battery.voltage.nominal': '24.0',
      'ups.load': '14',
    });
  });

  it.each([
    [['onBattery'], 'OB'],
    [['onBattery', 'lowBattery'], 'OB LB'],
    [['onBattery', 'onMains'], 'OL'],
  ])('is told %j', async (events, status) => {
    const { variables } = await said('nutdrv_qx', ['-x', 'protocol=megatec', '-d', '1'], events);
    expect((variables.get('ups.status') ?? '').split(' ').sort()).toEqual(status.split(' ').sort());
  });

  it('of a device that only knows QS', async () => {
    const { variables } = await said('nutdrv_qx', ['-d', '1', '-x', 'novendor', '-x', 'norating'], [], 'qs');
    expect(variables.get('ups.load')).toBe('14');
  });

  it.each(['nutdrv_qx', 'blazer_ser'])('%s cuts the output with a return', async (program) => {
    const { state } = await said(program, ['-k'], ['onBattery']);
    expect(state).toMatchObject({ shutdown: { delayMinutes: 0.5, returnMinutes: 3 } });
  });
});

/** Runs a driver of NUT at our simulator until it has dumped what it knows. */
async function said(
  program: string,
  args: readonly string[],
  events: readonly string[] = [],
  status: 'q1' | 'qs' = 'q1',
): Promise<Said> {
  const stop = new AbortController();
  const folder = await mkdtemp(join(tmpdir(), 'outpost-nut-'));
  const options = driver.options.parse({ status });
  const simulator = driver.simulator(options);
  const codec = driver.protocol(options).device();
  await using pty = openPty(systemClock);
  for (const event of events) simulator.provoke?.(event);
  const playing = simulate(
    { simulator, codec, transport: pty, clock: systemClock, random: seededRandom(1) },
    stop.signal,
  );
  const setup = ['-s', 'ups', '-u', 'root', '-x', `port=${pty.path}`, '-x', 'desc=simulator'];
  try {
    const output = await run(`/lib/nut/${program}`, [...setup, ...args], {
      NUT_STATEPATH: folder,
      NUT_ALTPIDPATH: folder,
    });
    const variables = new Map(
      Array.from(output.matchAll(/^([a-z0-9.]+): (.*)$/gm), ([, name, value]) => [name ?? '', value ?? ''] as const),
    );
    return { variables, state: simulator.state ?? {} };
  } finally {
    stop.abort();
    await playing;
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile(program, args, { env: { ...process.env, ...env }, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
      else resolve(stdout);
    });
  });
}

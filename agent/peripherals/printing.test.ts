/** A printer through the agent's hands: the doubt on the disk, the journal on the disk, and a human between them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import { durableFile } from '#agent/core/durable-text.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { supervise } from '#agent/core/supervisor.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { looseSchema } from '#config/peripheral.ts';
import { sealed } from '#drivers/driver.ts';
import { driver as printer } from '#drivers/escpos-printer/driver.ts';
import { options as optionsSchema } from '#drivers/escpos-printer/manifest.ts';
import { openPty } from '#drivers/pty.ts';
import { simulate } from '#drivers/simulator.ts';
import { Doubts } from './doubts.ts';
import { Peripherals } from './peripherals.ts';

const driver = sealed(printer);
const options = optionsSchema.parse({ pollEvery: 100 });
const content = Array.from({ length: 120 }, (_unused, line) => ({ is: 'text', text: `第 ${line} 行` }));

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-printing-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

interface Agent extends AsyncDisposable {
  readonly peripherals: Peripherals;
  readonly signal: AbortSignal;
}

async function start(): Promise<Agent> {
  const stop = new AbortController();
  const peripherals = new Peripherals({
    peripherals: [
      looseSchema.parse({
        id: 'receipts',
        driver: 'escpos-printer',
        port: join(folder, 'device'),
        options,
        line: { answer: '500ms' },
      }),
    ],
    loadDriver: async () => await Promise.resolve(driver),
    doubts: await Doubts.open(join(folder, 'doubts.json'), ['receipts']),
    memoryOf: (id) => durableFile(join(folder, `peripheral-${id}.json`)),
    run: 'run',
    clock,
    health: new Health(clock),
    log: silentLog,
    emit: () => undefined,
  });
  const running = supervise(peripherals.services(), { clock, random: () => 0, log: silentLog }, stop.signal);
  await eventually(() => peripherals.views()[0]?.phase === 'ready', 'ready');
  return {
    peripherals,
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

describeWith('a printer', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('whose paper ends prints that job never again, also after a restart, and the next one when a human has looked', async () => {
    const simulator = printer.simulator(options) as ReturnType<typeof printer.simulator> & {
      readonly paper: { readonly cuts: number; readonly height: number };
      readonly load: (dots: number) => unknown;
    };
    const stop = new AbortController();
    const pty = openPty(clock, join(folder, 'device'));
    const codec = printer.protocol(options).device();
    const playing = simulate({ simulator, codec, transport: pty, clock, random: seededRandom(1) }, stop.signal);
    try {
      const print = async ({ peripherals, signal }: Agent, job: string) =>
        await peripherals.command('receipts', 'print', { job, content }, signal);
      {
        await using agent = await start();
        expect(await print(agent, 'r-1')).toMatchObject({ status: 'acknowledged' });
        simulator.load(1_000);
        expect(await print(agent, 'r-2')).toMatchObject({ status: 'unknown' });
      }
      const journal = await readFile(join(folder, 'peripheral-receipts.json'), 'utf8');
      expect(JSON.parse(journal)).toMatchObject({
        jobs: [
          { id: 'r-1', status: 'printed' },
          { id: 'r-2', status: 'unknown' },
        ],
      });
      simulator.load(100_000);
      const { height } = simulator.paper;
      await using agent = await start();
      expect(await print(agent, 'r-3')).toMatchObject({ status: 'rejected' });
      await agent.peripherals.resolve('receipts');
      expect(await print(agent, 'r-1')).toMatchObject({ status: 'acknowledged', result: { again: true } });
      expect(simulator.paper.height).toBe(height);
      const { signal } = agent;
      expect(await agent.peripherals.command('receipts', 'settle', { as: 'given-up' }, signal)).toMatchObject({
        status: 'acknowledged',
        result: { settled: 'r-2' },
      });
      expect(await print(agent, 'r-2b')).toMatchObject({ status: 'acknowledged' });
      expect(simulator.paper.cuts).toBe(2);
    } finally {
      stop.abort();
      await pty[Symbol.asyncDispose]();
      await playing;
    }
  });
});

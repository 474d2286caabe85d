/** Two access readers on one line, one of which has another key than the configuration says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { supervise } from '#agent/core/supervisor.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { looseSchema } from '#config/peripheral.ts';
import { deviceCodec } from '#drivers/osdp-reader/codec.ts';
import { options } from '#drivers/osdp-reader/manifest.ts';
import { osdpSimulator } from '#drivers/osdp-reader/simulator.ts';
import { openPty } from '#drivers/pty.ts';
import { loadDriver } from '#drivers/registry.ts';
import { simulate } from '#drivers/simulator.ts';
import { Doubts } from './doubts.ts';
import { Peripherals } from './peripherals.ts';

const keyOf = (digit: number): string => String(digit).repeat(32);

describeWith('access readers on one line', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('work, but for the one whose key is another: it is down, said, and never spoken to in the clear', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-readers-'));
    const port = join(folder, 'line');
    const [good, wrong] = [1, 2].map((address) => osdpSimulator(options.parse({ address, key: keyOf(address) })));
    const stop = new AbortController();
    const pty = openPty(clock, port);
    const clear = new Set<number>();
    const playing = simulate(
      {
        simulator: { receive: (command) => [good, wrong].flatMap((reader) => reader?.receive(command) ?? []) },
        codec: deviceCodec(),
        transport: pty,
        clock,
        random: seededRandom(1),
        onReceive: ({ address, security, code }) => void (address === 2 && !security && clear.add(code)),
      },
      stop.signal,
    );
    const health = new Health(clock);
    const cards: string[] = [];
    const configured = (id: string, address: number, key: string) =>
      looseSchema.parse({ id, driver: 'osdp-reader', port, options: { address, key, pollEvery: 50 } });
    const peripherals = new Peripherals({
      peripherals: [configured('door', 1, keyOf(1)), configured('gate', 2, keyOf(3))],
      loadDriver,
      doubts: await Doubts.open(join(folder, 'doubts.json'), []),
      run: 'run',
      clock,
      health,
      log: silentLog,
      emit: () => undefined,
      onEvent: (peripheral, { event }) => cards.push(`${peripheral} ${event}`),
    });
    const running = supervise(peripherals.services(), { clock, random: () => 0, log: silentLog }, stop.signal);
    const view = (id: string) => peripherals.views().find((each) => each.id === id);
    try {
      await eventually(() => view('door')?.phase === 'ready' && view('gate')?.phase === 'lost', 'one of each');
      expect(health.entries()).toMatchObject([
        {
          code: 'peripheral-down',
          subject: 'peripheral/gate',
          detail: expect.stringContaining('another key') as string,
        },
      ]);
      good?.provoke?.('card');
      wrong?.provoke?.('card');
      await eventually(() => cards.length > 0, 'the card');
      const before = view('gate')?.requests ?? 0;
      await eventually(() => (view('gate')?.requests ?? 0) > before, 'the next try');
      expect(cards).toEqual(['door card']);
      // osdp_ID alone
      expect([...clear]).toEqual([0x61]);
      expect(await peripherals.command('gate', 'led', { color: 'red' }, stop.signal)).toMatchObject({
        status: 'rejected',
      });
      expect(await peripherals.command('door', 'led', { color: 'red' }, stop.signal)).toEqual({
        status: 'acknowledged',
      });
    } finally {
      stop.abort();
      await running;
      await pty[Symbol.asyncDispose]();
      await playing;
      await rm(folder, { recursive: true, force: true });
    }
  });
});

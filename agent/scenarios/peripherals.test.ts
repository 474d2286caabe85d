/** A whole agent with a GNSS receiver on a serial port: readings, a rule, the pulled plug, status and metrics. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import { askMetrics, socketPath } from '#agent/console/socket.ts';
import { systemClock as clock } from '#agent/core/clock.ts';
import { seededRandom } from '#agent/core/random.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { driver as gnss } from '#drivers/nmea-gnss/driver.ts';
import { openPty, type Pty } from '#drivers/pty.ts';
import { simulate } from '#drivers/simulator.ts';
import { AgentProcess } from './agent-process.ts';

/** Plays a receiver until the plug is pulled. */
function plugIn(link: string): { readonly pty: Pty; readonly playing: Promise<void> } {
  const options = gnss.options.parse({});
  const pty = openPty(clock, link);
  const codec = gnss.protocol(options).device();
  const playing = simulate(
    { simulator: gnss.simulator(options), codec, transport: pty, clock, random: seededRandom(1) },
    new AbortController().signal,
  );
  return { pty, playing };
}

describeWith(
  'the agent with a peripheral',
  [needsTestedProgram, needsProgram('perl'), needsProgram('stty', 'coreutils')],
  () => {
    it('tells what it measures, what rules make of it, and that it is gone and back', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-plug-'));
      const link = join(folder, 'gnss');
      const received: ReceivedEvent[] = [];
      try {
        await using broker = await openBroker((event) => received.push(event));
        let plug = plugIn(link);
        await using agent = await AgentProcess.start({
          device: { id: 'robot-07' },
          uplink: { url: broker.url },
          peripherals: [{ id: 'gnss', driver: 'nmea-gnss', port: link }],
          rules: [{ kind: 'reading', id: 'has-a-fix', property: 'fix', equals: '3d', lane: 'event' }],
        });
        const of = (type: string): ReceivedEvent | undefined => received.find((event) => event.type === type);
        await agent.until(({ peripherals }) => peripherals[0]?.phase === 'ready', 'the receiver is ready');
        await eventually(
          () =>
            received.some(
              ({ type, data }) => type === 'outpost.reading' && (data as { property: string }).property === 'position',
            ),
          'a position',
        );
        const start = await eventually(() => of('outpost.reading.start'), 'the rule');
        expect(start).toMatchObject({
          lane: 'event',
          subject: 'peripheral/gnss',
          data: { rule: 'has-a-fix', value: '3d' },
        });

        await plug.pty[Symbol.asyncDispose]();
        await plug.playing;
        await eventually(() => of('outpost.peripheral.start'), 'the loss');
        const lost = await agent.until(({ peripherals }) => peripherals[0]?.phase === 'lost', 'the loss in the status');
        expect(lost.health.conditions.map(({ code }) => code)).toContain('peripheral-down');

        plug = plugIn(link);
        await eventually(() => of('outpost.peripheral.end'), 'the return');
        const metrics = await askMetrics(socketPath(agent.folder));
        expect(metrics).toMatch(/^outpost_peripheral_ready\{peripheral="gnss"\} 1$/m);
        expect(metrics).toMatch(/^outpost_peripheral_connections_total\{peripheral="gnss"\} 2$/m);
        expect(await agent.end('SIGTERM')).toBe(0);
        await eventually(() => of('outpost.reading.end'), 'the end of the incident, told at the end of the agent');
        expect(received.map((event) => checkEvent(event)).filter((fault) => fault !== undefined)).toEqual([]);
        await plug.pty[Symbol.asyncDispose]();
        await plug.playing;
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  },
);

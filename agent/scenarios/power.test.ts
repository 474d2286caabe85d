/** A whole agent on a UPS whose battery ends: it says so aloud, tells upstream, orders the cut, ends, and shuts down. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import { askMetrics, askVoice, socketPath } from '#agent/console/socket.ts';
import { systemClock as clock } from '#agent/core/clock.ts';
import { seededRandom } from '#agent/core/random.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { StandInPlayer } from '#agent/testing/stand-in-player.ts';
import { tone } from '#agent/testing/tone.ts';
import { driver as ups } from '#drivers/megatec-ups/driver.ts';
import { openPty } from '#drivers/pty.ts';
import { simulate } from '#drivers/simulator.ts';
import { AgentProcess } from './agent-process.ts';

describeWith(
  'the agent on a UPS',
  [needsTestedProgram, needsProgram('perl'), needsProgram('stty', 'coreutils')],
  () => {
    it('ends in order when the battery is low, and not before', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-ups-'));
      const player = await StandInPlayer.make(folder);
      const halt = join(folder, 'halt');
      await writeFile(halt, `#!/bin/sh\necho "$@" > '${folder}/halted'\n`, { mode: 0o755 });
      const options = ups.options.parse({});
      const simulator = ups.simulator(options);
      const stop = new AbortController();
      await using pty = openPty(clock, join(folder, 'ups'));
      const codec = ups.protocol(options).device();
      const playing = simulate({ simulator, codec, transport: pty, clock, random: seededRandom(1) }, stop.signal);
      const received: ReceivedEvent[] = [];
      const told = (event: string): ReceivedEvent | undefined =>
        received.find(({ data }) => (data as { readonly event?: string }).event === event);
      try {
        await using broker = await openBroker((event) => received.push(event));
        await using agent = await AgentProcess.start({
          device: { id: 'station-1' },
          uplink: { url: broker.url },
          peripherals: [{ id: 'ups', driver: 'megatec-ups', port: pty.path, options: { pollEvery: 200 } }],
          power: { ups: 'ups', hold: '2s', cut: true, delay: '2m', return: '3m', command: [halt, '-h', 'now'] },
          voice: {
            player: [player.path],
            announcements: [
              {
                id: 'on-battery',
                priority: 'warning',
                file: { en: await player.recording('power', tone({ seconds: 0.1, peak: 0.5 })) },
                on: [{ kind: 'peripheral', event: 'onBattery' }],
                with: [
                  {
                    peripheral: 'ups',
                    start: { action: 'setBeeper', args: { on: false } },
                    end: { action: 'setBeeper', args: { on: true } },
                  },
                ],
              },
            ],
          },
        });
        await agent.until(({ peripherals }) => peripherals[0]?.phase === 'ready', 'the UPS is ready');
        simulator.provoke?.('onBattery');
        await eventually(() => told('onBattery'), 'the mains failed');
        const said = await agent.until(({ voice }) => voice?.ended.played === 1, 'it is said');
        expect(said.power).toBe('battery');
        expect(said.voice).toMatchObject({ waiting: 0, owed: 0 });
        const socket = socketPath(agent.folder);
        expect(await askVoice(socket, 'mute', '60000')).toEqual({ status: 'muted' });
        expect(await askVoice(socket, 'announce', 'on-battery')).toMatchObject({ status: 'refused' });
        expect(await askMetrics(socket)).toMatch(/^outpost_voice_announcements_total\{ending="played"\} 1$/m);
        expect(simulator.state).toMatchObject({ shutdown: null, beeper: true });

        simulator.provoke?.('lowBattery');
        await eventually(() => told('shutdown'), 'the alarm');
        expect(told('shutdown')).toMatchObject({ lane: 'alarm', data: { data: { reason: 'low-battery' } } });
        const halted = await eventually(
          async () => await readFile(join(folder, 'halted'), 'utf8').catch(() => undefined),
          'the command',
        );
        expect(halted).toBe('-h now\n');
        expect(simulator.state).toMatchObject({ shutdown: { delayMinutes: 2, returnMinutes: 3 } });
        expect(await agent.exited()).toBe(0);
        expect(received.map((event) => checkEvent(event)).filter((fault) => fault !== undefined)).toEqual([]);
      } finally {
        stop.abort();
        await playing;
        await rm(folder, { recursive: true, force: true });
      }
    });
  },
);

/** `outpost status --metrics` of a running agent, over its socket. */
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { needsTestedProgram, testedProgram } from '#agent/testing/program.ts';
import { describeWith } from '#agent/testing/require.ts';
import { socketPath } from '#agent/console/socket.ts';
import { openTestOutbox, testEvent } from '#agent/outbox/test-rig.ts';
import { systemHost } from '#agent/outbox/host.ts';
import { systemClock } from '#agent/core/clock.ts';
import { freePort, startAedes } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { AgentProcess } from './agent-process.ts';

async function metricsOf(agent: AgentProcess): Promise<string> {
  const [program, ...leading] = testedProgram();
  const words = [...leading, 'status', '--metrics', '--socket', socketPath(agent.folder)];
  return (await promisify(execFile)(program, words)).stdout;
}

describeWith('metrics', [needsTestedProgram], () => {
  it('tells what waits and why, and that it is gone when the broker is there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-agent-'));
    {
      await using outbox = await openTestOutbox(folder, { host: systemHost(systemClock) });
      await outbox.append([testEvent('event', 1), testEvent('event', 2), testEvent('alarm', 3)]);
    }
    const uplink = { url: `mqtt://127.0.0.1:${await freePort()}` };
    const device = { id: 'robot-07' };
    const offline = await AgentProcess.start({ device, uplink }, folder);
    onTestFinished(async () => void (await offline.end('SIGKILL')));
    await offline.until((status) => status.uplink.lastError !== undefined, 'an error of the line');
    const waiting = await metricsOf(offline);
    expect(waiting).toMatch(/^outpost_outbox_depth\{lane="event"\} 2$/m);
    expect(waiting).toMatch(/^outpost_outbox_first_seq\{lane="alarm"\} 1$/m);
    expect(waiting).toMatch(/^outpost_uplink_connected\{line="main"\} 0$/m);
    expect(waiting).toMatch(/^outpost_uplink_last_error_timestamp_seconds\{code="broker-\w+"\} \d+/m);
    await offline.end('SIGTERM');
    await using broker = await startAedes();
    await using online = await AgentProcess.start({ device, uplink: { url: broker.url } }, folder);
    await online.until(({ uplink: line }) => line.acknowledged >= 3 && line.connected, 'everything is acknowledged');
    const metrics = await eventually(async () => {
      const text = await metricsOf(online);
      return /^outpost_outbox_depth\{lane="event"\} 0$/m.test(text) && text;
    }, 'the lane is empty');
    expect(metrics).toMatch(/^outpost_outbox_last_seq\{lane="event"\} 2$/m);
    expect(metrics).toMatch(/^outpost_uplink_connected\{line="main"\} 1$/m);
    expect(metrics).toMatch(/^outpost_uplink_custody\{custody="broker"\} 1$/m);
  });
});

/** The whole agent against real footage, a real model and a real broker, with the faults of the field. */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import type { Status } from '#agent/outpost.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { ConfigInput } from '#config/load.ts';
import { AgentProcess } from './agent-process.ts';
import { descendants, lives } from './processes.ts';

const video = testData('video', 'vtest.avi');
const wholePicture = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
] as [number, number][];

const config = (more: ConfigInput = {}): ConfigInput => ({
  device: { id: 'robot-07' },
  cameras: [
    {
      id: 'front',
      url: video,
      zones: [{ id: 'yard', polygon: wholePicture }],
      lines: [{ id: 'gate', from: [0.5, 0], to: [0.5, 1] }],
    },
  ],
  rules: [
    { kind: 'intrusion', id: 'fence', zone: 'yard' },
    { kind: 'line', id: 'visitors', line: 'gate' },
    { kind: 'crowd', id: 'crowd', atLeast: 3, after: '1s' },
  ],
  ...more,
});

/** A machine that is slower than the camera says so, which is no trouble. */
const troubles = ({ health }: Status): Status['health']['conditions'] =>
  health.conditions.filter(({ severity }) => severity !== 'info');

/** Every sequence number of every lane and epoch, and what is missing below the highest. */
function gaps(events: readonly ReceivedEvent[]): readonly string[] {
  const lanes = new Map<string, Set<number>>();
  for (const event of events) {
    const key = `${event.epoch} ${event.lane}`;
    lanes.set(key, (lanes.get(key) ?? new Set()).add(Number(event.seq)));
  }
  return [...lanes].flatMap(([key, seqs]) =>
    Array.from({ length: Math.max(...seqs) }, (_none, index) => index + 1)
      .filter((seq) => !seqs.has(seq))
      .map((seq) => `${key} ${seq}`),
  );
}

describeWith(
  'the agent',
  [needsTestedProgram, needsData('video', 'vtest.avi'), needsData('models', 'yolox_nano_416.onnx')],
  () => {
    it('brings what a camera sees to a broker, with a picture, and ends clean on SIGTERM', async () => {
      const received: ReceivedEvent[] = [];
      await using broker = await openBroker((event) => received.push(event));
      await using agent = await AgentProcess.start(config({ uplink: { url: broker.url } }));
      await eventually(() => received.some(({ type }) => type === 'outpost.line'), 'a line crossed', 240_000);
      const status = await agent.until(({ evidence }) => (evidence?.pictures ?? 0) > 0, 'a picture');
      expect(received.map((event) => checkEvent(event)).filter((problem) => problem !== undefined)).toEqual([]);
      expect(received.some(({ type }) => type === 'outpost.intrusion.start')).toBe(true);
      expect(status.uplink).toMatchObject({ connected: true, protocol: '3.1.1' });
      expect(troubles(status)).toEqual([]);
      const pictures = await readdir(join(agent.folder, 'evidence'));
      const picture = pictures.find((name) => name.endsWith('.jpg'));
      expect((await readFile(join(agent.folder, 'evidence', picture as string))).subarray(0, 3)).toEqual(
        Buffer.from([0xff, 0xd8, 0xff]),
      );

      // The inference runtime would keep a telemetry database there.
      expect(await readdir(join(agent.folder, 'home'))).toEqual([]);

      const children = descendants(agent.pid);
      expect(children.length).toBeGreaterThanOrEqual(2);
      expect(await agent.end('SIGTERM')).toBe(0);
      await eventually(() => children.every((pid) => !lives(pid)), 'the end of its children');
      expect(gaps(received)).toEqual([]);
    });

    it('puts its pictures to a server, and tells where they lie and what they must be', async () => {
      const stored = new Map<string, string>();
      const server = createServer((request, response) => {
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => {
          stored.set(request.url ?? '', hash('sha256', Buffer.concat(parts), 'hex'));
          response.writeHead(201).end();
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const received: ReceivedEvent[] = [];
      await using broker = await openBroker((event) => received.push(event));
      await using agent = await AgentProcess.start(
        config({ uplink: { url: broker.url }, evidence: { upload: true, server: { url: `${url}/p` } } }),
      );
      await eventually(() => received.some(({ type }) => type === 'outpost.upload'), 'an upload is told', 240_000);
      const status = await agent.until(({ upload }) => (upload?.sent ?? 0) > 0, 'it is counted');
      expect(status.upload).toMatchObject({ givenUp: 0, failures: 0 });
      const told = received.find(({ type }) => type === 'outpost.upload');
      expect(checkEvent(told)).toBeUndefined();
      const data = told?.data as { readonly url: string; readonly sha256: string };
      expect(new URL(data.url).pathname).toMatch(/^\/p\/robot-07\/[\w-]+\.jpg$/);
      expect(stored.get(new URL(data.url).pathname)).toBe(data.sha256);
      expect(await agent.end('SIGTERM')).toBe(0);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });

    it('lives on when its child is killed, and sees again', async () => {
      await using agent = await AgentProcess.start(config());
      const before = await agent.until(({ cameras }) => (cameras[0]?.resultsPerSecond ?? 0) > 0, 'results');
      process.kill(before.vision.pid as number, 'SIGKILL');
      await agent.until(({ health }) => health.conditions.some(({ code }) => code === 'vision-down'), 'the condition');
      const after = await agent.until(
        ({ vision, cameras }) =>
          vision.pid !== undefined && vision.pid !== before.vision.pid && cameras[0]?.state === 'open',
        'a new child that sees',
      );
      expect(after.pid).toBe(before.pid);
      await agent.until((status) => troubles(status).length === 0, 'good health');
    });

    it('killed with -9 in the middle of it, leaves no child behind, and loses nothing that was written', async () => {
      const received: ReceivedEvent[] = [];
      await using broker = await openBroker((event) => received.push(event));
      await using first = await AgentProcess.start(config());
      const status = await first.until(({ events }) => events.made >= 3, 'events without a line');
      const written = Object.values(status.outbox).reduce((sum, { depth }) => sum + depth, 0);
      const children = descendants(first.pid);
      await first.end('SIGKILL');
      await eventually(() => children.every((pid) => !lives(pid)), 'the end of its children');
      await using second = await AgentProcess.start(config({ uplink: { url: broker.url } }), first.folder);
      await eventually(() => received.length > written, 'what waited, and more');
      await second.end('SIGTERM');
      expect(gaps(received)).toEqual([]);
    });

    it('goes on with one camera when the other is not there', async () => {
      const cameras = [
        ...(config().cameras ?? []),
        { id: 'gone', url: 'rtsp://user:s3cret@127.0.0.1:9/none', stallAfter: '2s' },
      ];
      await using agent = await AgentProcess.start(config({ cameras, log: { level: 'debug' } }));
      const status = await agent.until(
        (now) =>
          now.cameras.some(({ id, state }) => id === 'gone' && state === 'down') &&
          now.cameras.some(({ id, state }) => id === 'front' && state === 'open') &&
          now.events.made > 1,
        'one down, the other telling',
      );
      expect(troubles(status)).toMatchObject([{ code: 'camera-down', subject: 'camera/gone' }]);
      expect(status.cameras.find(({ id }) => id === 'front')?.state).toBe('open');
      expect(JSON.stringify(status) + agent.log).not.toContain('s3cret');
    });

    it('hears a SIGTERM at any moment of its start', async () => {
      const moments = {
        'its first line': (agent: AgentProcess) => agent.log.includes('Outpost runs.'),
        'a child': (agent: AgentProcess) => descendants(agent.pid).length > 0,
        'a second child': (agent: AgentProcess) => descendants(agent.pid).length > 1,
      };
      for (const [moment, came] of Object.entries(moments)) {
        await using agent = await AgentProcess.start(config());
        await eventually(() => came(agent), moment);
        const children = descendants(agent.pid);
        expect(await agent.end('SIGTERM'), moment).toBe(0);
        await eventually(() => children.every((pid) => !lives(pid)), 'the end of its children');
      }
    });

    it('lives without a model, and says what to do', async () => {
      await using agent = await AgentProcess.start(config({ vision: { model: '/nowhere/at/all' } }));
      const status = await agent.until(({ health }) => health.worst === 'critical', 'the condition');
      expect(status.health.conditions.map(({ code }) => code)).toContain('model-unusable');
      expect(await agent.end('SIGTERM')).toBe(0);
    });

    it('refuses a second agent on its store', async () => {
      await using first = await AgentProcess.start(config({ cameras: [], rules: [] }));
      await first.until(() => true, 'a running agent');
      const second = await AgentProcess.start(config({ cameras: [], rules: [] }), first.folder);
      const code = await eventually(() => (lives(second.pid) ? undefined : 'ended'), 'the end of the second');
      expect(code).toBe('ended');
      expect(second.log).toMatch(/held|another agent|in use/i);
      expect(await first.status()).toBeDefined();
    });
  },
);

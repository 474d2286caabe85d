/** The local socket: its answer, its rights, and what is said when nobody is there. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { type Answers, askMetrics, askResolve, askStatus, askVoice, serveStatus, socketPath } from './socket.ts';

const answers = (metrics: Answers['metrics'] = async () => await Promise.resolve('outpost_info 1\n')): Answers => ({
  status: () => ({ device: 'robot-07' }),
  metrics,
  resolve: async (peripheral) => await Promise.resolve(peripheral === 'front-door'),
  voice: (order, argument) => ({ status: `${order} ${argument ?? '-'}` }),
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-socket-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the local socket', () => {
  it('answers, can be opened by its user alone, replaces what a killed agent left, and goes when it ends', async () => {
    const path = socketPath(folder);
    await writeFile(path, 'left behind');
    const stop = new AbortController();
    const serving = serveStatus(path, answers(), stop.signal);
    const answer = await eventually(async () => await askStatus(path).catch(() => undefined), 'an answer');
    expect(answer).toEqual({ device: 'robot-07' });
    expect(await askMetrics(path)).toBe('outpost_info 1\n');
    expect(await askResolve(path, 'front-door')).toBe(true);
    expect(await askResolve(path, 'other')).toBe(false);
    expect(await askVoice(path, 'announce', 'leave')).toEqual({ status: 'announce leave' });
    expect(await askVoice(path, 'mute')).toEqual({ status: 'mute -' });
    await expect(askVoice(path, 'announce', 'LOUD/../x')).rejects.toMatchObject({ code: 'agent-silent' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    stop.abort();
    await serving;
    await expect(askStatus(path)).rejects.toMatchObject({ code: 'agent-not-running' });
  });

  it('goes on when an answer cannot be made', async () => {
    const path = socketPath(folder);
    const stop = new AbortController();
    const broken = answers(async () => await Promise.reject(new Error('no figures')));
    const serving = serveStatus(path, broken, stop.signal);
    await eventually(async () => await askStatus(path).catch(() => undefined), 'an answer');
    await expect(askMetrics(path)).rejects.toMatchObject({
      code: 'agent-silent',
      message: expect.stringContaining('no figures') as string,
    });
    expect(await askStatus(path)).toEqual({ device: 'robot-07' });
    stop.abort();
    await serving;
  });

  it('refuses a path that the system cannot hold', async () => {
    await expect(serveStatus(`/tmp/${'x'.repeat(120)}`, answers(), new AbortController().signal)).rejects.toMatchObject(
      {
        code: 'socket-path-too-long',
      },
    );
  });
});

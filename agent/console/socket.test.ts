/** The local socket: its answer, its rights, and what is said when nobody is there. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { askStatus, serveStatus, socketPath } from './socket.ts';

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
    const serving = serveStatus(path, () => ({ device: 'robot-07' }), stop.signal);
    const answer = await eventually(async () => await askStatus(path).catch(() => undefined), 'an answer');
    expect(answer).toEqual({ device: 'robot-07' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    stop.abort();
    await serving;
    await expect(askStatus(path)).rejects.toMatchObject({ code: 'agent-not-running' });
  });

  it('refuses a path that the system cannot hold', async () => {
    await expect(
      serveStatus(`/tmp/${'x'.repeat(120)}`, () => ({}), new AbortController().signal),
    ).rejects.toMatchObject({
      code: 'socket-path-too-long',
    });
  });
});

/** Secrets: from files, never shown, and known to whoever must hide them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explain } from './explain.ts';
import { loadConfig, readConfig } from './load.ts';
import { secretPatterns, secretValues } from './secrets.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-secrets-'));
  await writeFile(join(folder, 'mqtt'), 'hunter2\n');
  await writeFile(join(folder, 'camera'), 'rtsp://admin:p%40ss@10.0.0.4/stream?token=abc123');
  await writeFile(join(folder, 'empty'), '\n');
  await writeFile(join(folder, 'large'), 'x'.repeat(5000));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function load(content: string) {
  const file = join(folder, 'outpost.yaml');
  await writeFile(file, content);
  return await loadConfig({ file });
}

const both = 'cameras: [{ id: a, url: { file: camera } }]\nuplink: { username: u, password: { file: mqtt } }\n';

describe('secrets', () => {
  it('are known from the schema', () => {
    expect(secretPatterns()).toEqual(['cameras[].url', 'evidence.server.token', 'uplink.password']);
  });

  it('may live in files of their own', async () => {
    const { config } = await load(both);
    expect(config.uplink.password).toBe('hunter2');
    expect(config.cameras[0]?.url).toBe('rtsp://admin:p%40ss@10.0.0.4/stream?token=abc123');
  });

  it('are not shown', async () => {
    const values = explain(await load(both));
    expect(JSON.stringify(values)).not.toMatch(/hunter2|p%40ss|p@ss|abc123|admin/);
    expect(values.find(({ path }) => path === 'uplink.password')?.value).toBe('***');
    expect(values.find(({ path }) => path === 'cameras[0].url')?.value).toBe('rtsp://***@10.0.0.4/stream?***');
  });

  it('are known to the log, with what is inside of them', async () => {
    const { config } = await load(both);
    expect([...secretValues(config)]).toEqual(
      expect.arrayContaining(['hunter2', 'admin', 'p%40ss', 'p@ss', 'token=abc123', config.cameras[0]?.url]),
    );
    const harmless = await load('cameras: [{ id: a, url: clips/a.avi }, { id: b, url: "rtsp://10.0.0.4/x" }]\n');
    expect([...secretValues(harmless.config)]).toEqual([]);
  });

  it.each([
    ['{ file: none }', 'none cannot be read: ENOENT'],
    ['{ file: empty }', 'empty is empty'],
    ['{ file: large }', 'large is larger than 4096 bytes'],
    ['{ fiel: mqtt }', 'must be a text or { file: PATH }'],
  ])('%s is refused', async (password, message) => {
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, `uplink: { username: u, password: ${password} }\n`);
    expect(await readConfig({ file })).toMatchObject({
      ok: false,
      problems: [{ path: 'uplink.password', message, line: 1 }],
    });
  });
});

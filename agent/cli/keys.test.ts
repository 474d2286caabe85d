import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parsePublicKey } from '#agent/domain/signature.ts';

const run = promisify(execFile);
const outpost = async (...args: string[]): Promise<string> =>
  (await run(process.execPath, [join(import.meta.dirname, '../main.ts'), 'keys', ...args])).stdout;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-keys-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('makes a key that only its owner may read, shows its public half, and never writes over it', async () => {
  const file = join(folder, 'consumer.pem');
  const made = await outpost('new', file);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const shown = JSON.parse(await outpost('show', file, '--json')) as { publicKey: string; kid: string };
  expect(parsePublicKey(shown.publicKey)).toBeDefined();
  expect(made).toContain(shown.publicKey);
  expect(made).toContain(shown.kid);
  expect(made).not.toContain('PRIVATE');
  await expect(outpost('new', file)).rejects.toMatchObject({ code: 3 });
  await expect(outpost('show', join(folder, 'none.pem'))).rejects.toMatchObject({ code: 3 });
});

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { BenchRow } from './bench-row.ts';

const run = promisify(execFile);
const bench = async (...args: string[]): Promise<string> =>
  (await run(process.execPath, [join(import.meta.dirname, '../main.ts'), 'bench', 'outbox', ...args])).stdout;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-bench-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('measures the part on a slow disk alone, though it starts the whole program again, and leaves nothing', async () => {
  const rows = JSON.parse(await bench('--slow', '--json', '--folder', folder)) as BenchRow[];
  expect(rows.map(({ what }) => what)).toEqual(['event-loop delay p99 while each fsync takes 200 ms']);
  expect(rows[0]?.ratio).toBeGreaterThan(0);
  expect(await readdir(folder)).toEqual([]);
});

it('refuses a part that there is not, and names those that there are', async () => {
  await expect(bench('--only', 'single,nope')).rejects.toMatchObject({
    stderr: expect.stringContaining('nope is none of single, producers, loop, growth, alarm, drain') as string,
  });
});

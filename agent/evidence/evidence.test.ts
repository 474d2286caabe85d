import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '#agent/core/log.ts';
import { describeWith } from '#agent/testing/require.ts';
import { type Evidence, openEvidence } from './evidence.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'outpost-evidence-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const openAt = (folder: string, maxSizeBytes = 1000): Promise<Evidence> =>
  openEvidence({ folder, maxSizeBytes, log: silentLog });
const blob = (size: number, fill = 7): Uint8Array => new Uint8Array(size).fill(fill);

test('what was put is there, readable by its owner alone', async () => {
  const folder = join(root, 'data', 'evidence');
  await using evidence = await openAt(folder);
  const { path } = await evidence.put('e-1', 'image/jpeg', blob(10));
  expect(readFileSync(path)).toEqual(Buffer.from(blob(10)));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(evidence.path('e-1')).toBe(path);
  expect(readdirSync(folder)).toEqual(['00000001-e-1.jpg']);
});

test('the oldest make room, and are counted', async () => {
  await using evidence = await openAt(root);
  for (const id of ['a', 'b', 'c', 'd']) await evidence.put(id, 'image/jpeg', blob(400));
  expect(evidence).toMatchObject({ count: 2, sizeBytes: 800, removed: 2 });
  expect(['a', 'b', 'c', 'd'].map((id) => evidence.path(id) !== undefined)).toEqual([false, false, true, true]);
});

test('a restart finds what is there in the order of writing, whatever the clock did, and sweeps up half files', async () => {
  {
    await using first = await openAt(root);
    for (const id of ['z', 'y', 'x']) await first.put(id, 'image/jpeg', blob(300));
  }
  writeFileSync(join(root, '.4.part'), 'half');
  writeFileSync(join(root, 'notes.txt'), 'not ours');
  await using again = await openAt(root);
  expect(again).toMatchObject({ count: 3, sizeBytes: 900 });
  await again.put('w', 'image/jpeg', blob(300));
  expect(readdirSync(root).sort()).toEqual(['00000002-y.jpg', '00000003-x.jpg', '00000004-w.jpg', 'notes.txt']);
});

test('a smaller quota holds from the opening on', async () => {
  {
    await using first = await openAt(root);
    for (const id of ['a', 'b', 'c']) await first.put(id, 'image/jpeg', blob(300));
  }
  await using again = await openAt(root, 300);
  expect(again).toMatchObject({ count: 1, sizeBytes: 300, removed: 2 });
});

test('an id is written once, also by puts at the same moment', async () => {
  await using evidence = await openAt(root);
  const [first, second] = await Promise.all([
    evidence.put('a', 'image/jpeg', blob(10, 1)),
    evidence.put('a', 'image/jpeg', blob(10, 2)),
  ]);
  expect(second).toEqual(first);
  expect(readFileSync(first.path)[0]).toBe(1);
});

test.each(['', '../x', 'a/b', '.hidden', 'a b', 'a\0b', 'x'.repeat(101), 'ä'])('refuses %j as an id', async (id) => {
  await using evidence = await openAt(root);
  await expect(evidence.put(id, 'image/jpeg', blob(1))).rejects.toMatchObject({ code: 'evidence-name' });
  expect(readdirSync(root)).toEqual([]);
});

test('refuses media types without a file extension of ours', async () => {
  await using evidence = await openAt(root);
  await expect(evidence.put('a', 'text/html', blob(1))).rejects.toMatchObject({ code: 'evidence-name' });
  await expect(evidence.put('a', 'toString', blob(1))).rejects.toMatchObject({ code: 'evidence-name' });
});

test('what is larger than the quota is refused and removes nothing', async () => {
  await using evidence = await openAt(root);
  await evidence.put('a', 'image/jpeg', blob(500));
  await expect(evidence.put('b', 'image/jpeg', blob(1001))).rejects.toMatchObject({
    code: 'evidence-full',
    kind: 'limit',
  });
  expect(evidence).toMatchObject({ count: 1, removed: 0 });
});

test('a folder that cannot be there is an error with a hint', async () => {
  writeFileSync(join(root, 'file'), '');
  await expect(openAt(join(root, 'file', 'evidence'))).rejects.toMatchObject({ code: 'evidence-unavailable' });
});

test('a folder that vanished is an error, and the next put works when it is back', async () => {
  const folder = join(root, 'evidence');
  await using evidence = await openAt(folder);
  rmSync(folder, { recursive: true });
  await expect(evidence.put('a', 'image/jpeg', blob(1))).rejects.toMatchObject({ code: 'evidence-unavailable' });
  execFileSync('mkdir', [folder]);
  chmodSync(folder, 0o700);
  await expect(evidence.put('a', 'image/jpeg', blob(1))).resolves.toHaveProperty('path');
});

test('nothing is put after the end, and the end waits for what was begun', async () => {
  const evidence = await openAt(root);
  const begun = evidence.put('a', 'image/jpeg', blob(1));
  await begun;
  await evidence[Symbol.asyncDispose]();
  await expect(evidence.put('b', 'image/jpeg', blob(1))).rejects.toMatchObject({ code: 'evidence-unavailable' });
  expect(readdirSync(root)).toHaveLength(1);
});

test('the quota holds after any sequence of puts and reopenings, and the newest always survives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 600 }), fc.constant('reopen' as const)), { maxLength: 12 }),
      async (steps) => {
        const folder = mkdtempSync(join(root, 'run-'));
        let evidence = await openAt(folder);
        for (const [index, step] of steps.entries()) {
          if (step === 'reopen') {
            await evidence[Symbol.asyncDispose]();
            evidence = await openAt(folder);
            continue;
          }
          const { path } = await evidence.put(`n${index}`, 'image/jpeg', blob(step));
          const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
          const onDisk = sizes.reduce((sum, size) => sum + size, 0);
          expect(onDisk).toBeLessThanOrEqual(1000);
          expect(onDisk).toBe(evidence.sizeBytes);
          expect(statSync(path).size).toBe(step);
        }
        await evidence[Symbol.asyncDispose]();
      },
    ),
    { numRuns: 30 },
  );
});

function needsMounts(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'outpost-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', folder]).status === 0;
  if (mounted) execFileSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return mounted ? undefined : 'root, to mount a small tmpfs';
}

describeWith('on a full disk', [needsMounts], () => {
  test('a put fails as evidence-full, leaves no half file, and works again when there is room', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', root], { stdio: 'pipe' });
    try {
      await using evidence = await openAt(join(root, 'evidence'), 1_000_000);
      writeFileSync(join(root, 'other'), blob(40_000));
      await expect(evidence.put('a', 'image/jpeg', blob(40_000))).rejects.toMatchObject({ code: 'evidence-full' });
      expect(readdirSync(join(root, 'evidence'))).toEqual([]);
      rmSync(join(root, 'other'));
      await expect(evidence.put('a', 'image/jpeg', blob(40_000))).resolves.toHaveProperty('path');
    } finally {
      execFileSync('umount', [root]);
    }
  });
});

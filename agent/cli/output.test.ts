import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../main.ts');

test('a reader that goes away ends the command without a word', async () => {
  // `true` closes the pipe at once; the command's own standard error is what is captured.
  const shell = '"$1" "$2" replay --help | true';
  const { stderr } = await promisify(execFile)('sh', ['-c', shell, 'sh', process.execPath, main]);
  expect(stderr).toBe('');
});

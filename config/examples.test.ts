/** Every example in the documents is a configuration that can be used: yaml fences that begin with `# outpost.yaml`. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { assetPath } from '#agent/core/program.ts';
import { configJsonSchema } from './json-schema.ts';
import { loadConfig } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'outpost-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));

const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', '*.md'], {
  cwd: assetPath(),
  encoding: 'utf8',
})
  .split('\n')
  .filter((page) => page !== '');

const examples = pages.flatMap((page) =>
  [...readFileSync(assetPath(page), 'utf8').matchAll(/^```ya?ml\n(# outpost\.yaml\b[^]*?)^```$/gm)].map(
    ([, text = ''], index): [string, string] => [`${page} #${index + 1}`, text],
  ),
);

/** As an editor judges them. */
const editor = z.fromJSONSchema(configJsonSchema());

it('there are examples', () => {
  expect(examples.length).toBeGreaterThan(1);
});

it.each(examples)('%s', async (_title, text) => {
  const file = join(folder, 'outpost.yaml');
  // A secret's file is the reader's own; here it is any file that holds something.
  writeFileSync(join(folder, 'secret'), 'rtsp://user:password@camera.example/stream');
  writeFileSync(file, text.replace(/\{ file: [^}]+\}/g, '{ file: secret }'));
  expect((await loadConfig({ file })).file).toBe(file);
  expect(editor.safeParse(parse(text)).error).toBeUndefined();
});

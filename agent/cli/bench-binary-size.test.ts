import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { sizeRows, withoutModels } from './bench-binary-size.ts';

/** Nothing that packs finds anything in it. */
const noise = Buffer.from(
  Array.from({ length: 200_000 }, (_none, index) => (Math.imul(index + 1, 2_654_435_761) >>> 13) & 255),
);
const model = zstdCompressSync(noise);
const asset = (name: string, bytes: Buffer): Buffer => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(name), length, bytes]);
};
const executable = Buffer.concat([
  Buffer.from('names a.onnx in its text'),
  asset('models/a/a.onnx', model),
  asset('models/b/b.onnx', model),
  Buffer.from('the end'),
]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-size-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('models are taken out, and nothing else', () => {
  const rest = Buffer.concat(withoutModels(executable));
  expect(rest.length).toBe(executable.length - 2 * model.length);
  expect(rest.toString('latin1')).toContain('the end');
  expect(() => withoutModels(Buffer.from('only a name: a.onnx'))).toThrow(RangeError);
});

describeWith('sizes', [needsProgram('xz', 'xz-utils')], () => {
  test('are those of the binary, of what xz leaves without the model, and of the packages beside it', async () => {
    writeFileSync(join(folder, 'outpost-linux-arm64'), executable);
    writeFileSync(join(folder, 'outpost_0.1.0_arm64.deb'), noise);
    writeFileSync(join(folder, 'outpost_0.1.0_amd64.deb'), noise);
    const rows = await sizeRows(folder);
    expect(rows.map(({ what, ours, goal }) => [what, ours, goal])).toEqual([
      ['size of the binary for arm64', `${(executable.length / 1e6).toFixed(1)} MB`, '<= 1'],
      ['for arm64, xz -9, without the model', '0.0 MB', '<= 1'],
      ['outpost_0.1.0_arm64.deb', '0.2 MB', '-'],
    ]);
  });
});

/** Builds a binary as a user would, for tests. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testData } from '#agent/testing/testdata.ts';
import { repository, testBuildCache } from './places.ts';

/** @returns what the build printed */
export async function build(arch: string, out: string, more: readonly string[] = []): Promise<string> {
  const script = join(repository, 'packaging/build.ts');
  const weights = testData('models', 'yolox_nano_416.onnx');
  const args = [script, arch, '--fast', '--out', out, '--model-file', weights, '--cache', testBuildCache, ...more];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: repository, maxBuffer: 1 << 26 });
  return stdout;
}

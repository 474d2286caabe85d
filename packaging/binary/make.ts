/** Before the tests of the binary: makes it for x64, once, from the sources as they are. */
import { rm } from 'node:fs/promises';
import { needsData, needsProgram } from '#agent/testing/require.ts';
import { build } from './building.ts';
import { testBinary, testCache, testFolder } from './places.ts';

/** What cannot be made here is not there afterwards: tests that need it say so. */
export default async function make(): Promise<void> {
  await rm(testBinary('x64'), { force: true });
  await rm(testCache, { recursive: true, force: true });
  const missing = [needsData('models', 'yolox_nano_416.onnx'), needsProgram('x86_64-linux-gnu-g++', 'g++')]
    .map((requirement) => requirement())
    .filter((reason) => reason !== undefined);
  if (missing.length > 0 && process.env['OUTPOST_TEST_REQUIRE'] !== 'all') return;
  await build('x64', testFolder);
}

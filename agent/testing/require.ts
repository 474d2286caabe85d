/**
 * What a test needs from the machine. Where it is missing the test is skipped and named in the closing list,
 * unless OUTPOST_TEST_REQUIRE=all: then it fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe } from 'vitest';
import { hasTestData, testData } from './testdata.ts';

export type Requirement = () => string | undefined;

/** @returns why the thing is missing, or undefined when it is there */
export const needsData =
  (...parts: string[]): Requirement =>
  () =>
    hasTestData(...parts) ? undefined : `test data ${testData(...parts)} (set OUTPOST_TESTDATA)`;

export const needsProgram =
  (name: string, debianPackage: string = name): Requirement =>
  () =>
    spawnSync('sh', ['-c', `command -v "$1"`, 'sh', name]).status === 0 || existsSync(`/usr/sbin/${name}`)
      ? undefined
      : `program ${name} (apt-get install ${debianPackage})`;

export const needsRoot: Requirement = () => (process.getuid?.() === 0 ? undefined : 'root');

const requireAll = process.env['OUTPOST_TEST_REQUIRE'] === 'all';

/** `describe`, skipped with its reason in the title where something is missing. */
export function describeWith(title: string, requirements: readonly Requirement[], body: () => void): void {
  const missing = requirements.map((requirement) => requirement()).filter((reason) => reason !== undefined);
  if (missing.length === 0 || requireAll) {
    describe(title, body);
    return;
  }
  describe.skip(`${title} [skipped, needs: ${missing.join('; ')}]`, body);
}

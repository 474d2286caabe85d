/** Lists what was skipped and why, after the tests; writes the counts to the file that OUTPOST_TEST_REPORT names. */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export default class SkipReport implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = (state: 'passed' | 'failed' | 'skipped'): number =>
      modules.reduce((sum, module) => sum + [...module.children.allTests(state)].length, 0);
    // A file that cannot be loaded holds no test that could fail.
    const broken = modules.filter((module) => module.errors().length > 0).length;
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => `${module.relativeModuleId}: ${test.fullName}`),
    );
    if (skipped.length > 0) {
      process.stdout.write(`\nSkipped ${skipped.length}:\n${skipped.map((line) => `  ${line}\n`).join('')}`);
    }
    const path = process.env['OUTPOST_TEST_REPORT'];
    if (!path) return;
    const report = {
      passed: count('passed'),
      failed: count('failed') + broken + unhandled.length,
      skipped: skipped.length,
    };
    writeFileSync(path, JSON.stringify(report));
  }
}

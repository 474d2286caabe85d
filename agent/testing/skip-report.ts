/** Lists what was skipped and why, after the tests; writes counts and failures to the file that OUTPOST_TEST_REPORT names. */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Errors' texts are cut: the whole stands in the run's own output. */
const longestText = 1500;

/** What failed and why, one text a failure. */
function failuresOf(modules: readonly TestModule[], unhandled: readonly unknown[]): string[] {
  const text = (errors: readonly unknown[]): string =>
    errors
      .map((error) => (hasMessage(error) ? error.message : String(error)))
      .join('\n')
      .slice(0, longestText);
  return [
    ...modules.flatMap((module) => [
      ...(module.errors().length > 0 ? [`${module.relativeModuleId}: ${text(module.errors())}`] : []),
      ...[...module.children.allTests('failed')].map(
        (test) => `${module.relativeModuleId}: ${test.fullName}: ${text(test.result().errors ?? [])}`,
      ),
    ]),
    ...unhandled.map((error) => `outside of a test: ${text([error])}`),
  ];
}

function hasMessage(error: unknown): error is { readonly message: string } {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string';
}

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
      failures: failuresOf(modules, unhandled),
    };
    writeFileSync(path, JSON.stringify(report));
  }
}

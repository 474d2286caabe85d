/** How the tests run: one process a file, so that a crash of a native library names its file. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['{agent,models,drivers,config,packaging}/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // a slow machine is no failure: conditions decide, these only end what hangs
    testTimeout: 300_000,
    hookTimeout: 120_000,
    reporters: ['default', './agent/testing/skip-report.ts'],
  },
});

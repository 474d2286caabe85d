/** How the tests run: one process a file, so that a crash of a native library names its file. */
import { defineConfig } from 'vitest/config';
import { testBinary, testBuildCache, testCache } from '../packaging/binary/places.ts';

/** What is asked of the single binary: made once before them. */
const ofBinary = ['packaging/binary/*.test.ts'];

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    pool: 'forks',
    maxWorkers: 2,
    // a slow machine is no failure: conditions decide, these only end what hangs
    testTimeout: 300_000,
    hookTimeout: 120_000,
    reporters: ['default', './agent/testing/skip-report.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'source',
          include: ['{agent,models,drivers,config,packaging}/**/*.test.ts'],
          exclude: [...ofBinary, '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'binary',
          // whole agents, once more, from the binary; recall is the model's affair, and starts none
          include: [...ofBinary, 'agent/scenarios/**/!(street-recall).test.ts'],
          globalSetup: ['packaging/binary/make.ts'],
          env: {
            OUTPOST_TEST_BINARY: testBinary('x64'),
            OUTPOST_TEST_BUILD_CACHE: testBuildCache,
            XDG_CACHE_HOME: testCache,
          },
        },
      },
    ],
  },
});

/** Where the binaries lie that tests ask: beside the packages, so that a clean install removes them. */
import { join, resolve } from 'node:path';
import { buildCache } from '../registry.ts';

export const repository = resolve(import.meta.dirname, '../..');
export const testFolder = join(repository, 'node_modules/.cache/outpost-binary');
export const testBinary = (arch: string): string => join(testFolder, `outpost-linux-${arch}`);

/** Where builds keep what they fetched and compiled: the user's own, although tests have another cache. */
export const testBuildCache = process.env['OUTPOST_TEST_BUILD_CACHE'] ?? buildCache();

/** What a test's binary unpacks, where the test does not name a folder of its own. */
export const testCache = join(testFolder, 'cache');

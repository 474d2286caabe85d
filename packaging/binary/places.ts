/** Where the binaries lie that tests ask: beside the packages, so that a clean install removes them. */
import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dirname, '../..');
export const testFolder = join(repository, 'node_modules/.cache/outpost-binary');
export const testBinary = (arch: string): string => join(testFolder, `outpost-linux-${arch}`);

/** What a test's binary unpacks, where the test does not name a folder of its own. */
export const testCache = join(testFolder, 'cache');

/** Where tests find footage, pictures and models; a test that needs what is not here is skipped, and listed. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = process.env['OUTPOST_TESTDATA'] ?? resolve(import.meta.dirname, '../../../shared/data');

/** Path of a file below the test data, whether it is there or not. */
export const testData = (...parts: string[]): string => join(root, ...parts);

export const hasTestData = (...parts: string[]): boolean => existsSync(testData(...parts));

/** A third-party peer that lies beside the test data, such as the RTSP server. */
export const testPeer = (name: string): string => join(root, '..', 'peers', name);

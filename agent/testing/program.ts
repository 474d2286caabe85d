/** The program that whole-agent tests start: from source, or the single binary that OUTPOST_TEST_BINARY names. */
import { existsSync } from 'node:fs';
import { programCommand } from '#agent/core/program.ts';
import type { Requirement } from './require.ts';

const binary = process.env['OUTPOST_TEST_BINARY'];

export const testedProgram = (): [string, ...string[]] => (binary ? [binary] : programCommand());

/** The binary is made before the tests, where the machine has what that takes. */
export const needsTestedProgram: Requirement = () =>
  binary && !existsSync(binary) ? `the binary ${binary}, which could not be made here` : undefined;

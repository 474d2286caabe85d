/** What tests of the binary share: empty folders to run it in, and how it ended. */
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export interface Ended {
  /** Exit code; -1 after a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** With no other environment than what is given, and PATH. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return await new Promise((done) => {
    const env = { PATH: process.env['PATH'], ...environment };
    execFile(command, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/**
 * A program that says of itself something else, of the same length: what another build would be, without building it.
 * @throws Error when it does not say that
 */
export function altered(program: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(program);
  const at = copy.indexOf(from);
  if (at < 0 || from.length !== to.length) throw new Error(`There is no ${from} that could become ${to}.`);
  copy.write(to, at, 'latin1');
  return copy;
}

/** A folder with nothing in it, gone after the test. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'outpost-binary-'));
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }));
  return folder;
}

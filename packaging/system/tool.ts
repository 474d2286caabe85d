/** What the builders of packages share: what they are given, and how they call the tools of the distributions. */
import { spawn } from 'node:child_process';
import { OutpostError } from '#agent/core/errors.ts';
import type { Arch } from '../notify/build.ts';

export type { Arch };

export interface Build {
  readonly version: string;
  readonly arch: Arch;
  /** The single executable for that architecture. */
  readonly binary: string;
  readonly notify: string;
  /** Licences of what is inside the executable. */
  readonly notices: string;
  readonly out: string;
  /** Scratch, removed by who made it. */
  readonly work: string;
  /** Seconds since 1970: the time in everything, so that two builds are the same bytes. */
  readonly epoch: number;
  /** Compress less: for trying. */
  readonly isFast: boolean;
}

export interface ToolOptions {
  /** Where Debian has it. */
  readonly debian?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** @returns its stdout. @throws OutpostError `package-failed` with what it said */
export async function runTool(
  name: string,
  args: readonly string[],
  { debian, environment = {} }: ToolOptions = {},
): Promise<string> {
  const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => (said[stream] += chunk.toString('utf8')));
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `it ended by ${signal ?? code}`));
  });
  if (how === undefined) return said.stdout;
  throw new OutpostError('package-failed', `${name}: ${how}\n${said.stderr.trim() || said.stdout.trim()}`, {
    hint: debian === undefined ? `See what ${name} said.` : `apt-get install ${debian}`,
  });
}

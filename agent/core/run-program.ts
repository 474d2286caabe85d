/** Another program run once: without a shell, for a bounded time, and ended with all that it started. */
import { spawn } from 'node:child_process';
import { onAbort } from './abort.ts';
import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';

export type Ran =
  | { readonly is: 'exited'; readonly code: number; readonly complaint: string }
  /** It is not installed, or may not be run. */
  | { readonly is: 'missing'; readonly complaint: string }
  /** It ran for longer than its limit, or was aborted, and was killed. */
  | { readonly is: 'overdue' | 'aborted'; readonly complaint: string };

export interface RunOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  /** For its stdin. */
  readonly input?: string;
  readonly signal: AbortSignal;
}

/** From SIGTERM to SIGKILL. */
const graceMs = 1_000;
const mostComplaint = 300;

/** @returns how it ended; never throws */
export async function runProgram(command: readonly string[], options: RunOptions): Promise<Ran> {
  const { clock, limitMs, input, signal } = options;
  const [program = '', ...args] = command;
  // a group of its own, so that what a script started ends with it
  const child = spawn(program, args, {
    detached: true,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    if (complaint.length < mostComplaint) complaint = `${complaint}${bytes.toString('utf8')}`.slice(0, mostComplaint);
  });
  // a program that does not read breaks the pipe; how it ends says more
  child.stdin?.on('error', () => undefined).end(input);
  const over = new AbortController();
  let killed: 'overdue' | 'aborted' | undefined;
  const kill = (why: 'overdue' | 'aborted'): void => {
    killed ??= why;
    void endGroup(child.pid, clock, over.signal);
  };
  void clock.sleep(limitMs, over.signal).then(
    () => kill('overdue'),
    () => undefined,
  );
  using _listening = onAbort(signal, () => kill('aborted'));
  return await new Promise<Ran>((resolve) => {
    const settle = (ran: Ran): void => {
      over.abort();
      child.stderr?.destroy();
      resolve(ran);
    };
    child.on('error', (error) => settle({ is: 'missing', complaint: messageOf(error) }));
    child.on('exit', (code) => {
      const said = firstLine(complaint);
      settle(killed ? { is: killed, complaint: said } : { is: 'exited', code: code ?? -1, complaint: said });
    });
  });
}

async function endGroup(pid: number | undefined, clock: Clock, over: AbortSignal): Promise<void> {
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  await clock.sleep(graceMs, over).catch(() => undefined);
  signalGroup(pid, 'SIGKILL');
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // gone already: that is what was wanted
  }
}

const firstLine = (text: string): string => text.trim().split('\n')[0] ?? '';

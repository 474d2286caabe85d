/** The only file of the command line that writes to the terminal, and the exit codes. */
import { type OutpostError, systemCode, toOutpostError } from '#agent/core/errors.ts';

/** What a script can rely on. */
export const exitCodes = {
  ok: 0,
  /** the command ran and its answer is no: a check failed, something is missing */
  negative: 1,
  /** the command line itself is wrong */
  usage: 2,
  /** the configuration or an input file is wrong */
  config: 3,
  /** a device, a server or the network did not do its part */
  peer: 4,
  /** a limit was reached: disk, memory, size */
  limit: 5,
  /** a bug in Outpost */
  internal: 70,
} as const;

/** `outpost … | head`: when nobody reads any more, the command ends, in order where it knows how, without a word. */
export function endWhenNobodyReads(): void {
  let isEnding = false;
  process.stdout.on('error', (error: Error) => {
    if (!['EPIPE', 'ERR_STREAM_DESTROYED'].includes(systemCode(error) ?? '')) throw error;
    if (isEnding) return;
    isEnding = true;
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
    else process.exit(exitCodes.ok);
  });
}

export const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined)}\n`);
};

/** For people, beside the output: progress and hints, on stderr. */
export const note = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Columns aligned by spaces; numbers to the right. The first row is the head. */
export function printTable(rows: readonly (readonly (string | number)[])[]): void {
  const widths = (rows[0] ?? []).map((_head, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? '').length)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      typeof cell === 'number' ? String(cell).padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    );
    print(cells.join('  ').trimEnd());
  }
}

export function exitCodeOf(error: OutpostError): number {
  switch (error.kind) {
    case 'config':
      return exitCodes.config;
    case 'peer':
    case 'transient':
      return exitCodes.peer;
    case 'limit':
      return exitCodes.limit;
    case 'bug':
    case 'fatal':
      return exitCodes.internal;
  }
}

/** One error for a person: what, code, what to do. */
export function reportError(thrown: unknown, json: boolean): void {
  const error = toOutpostError(thrown);
  if (json)
    printJson({
      error: { code: error.code, kind: error.kind, message: error.message, hint: error.hint, context: error.context },
    });
  else process.stderr.write(`outpost: ${error.message} [${error.code}]\n  ${error.hint}\n`);
  if (error.kind === 'bug' && !json)
    process.stderr.write(`${String((error.cause as Error | undefined)?.stack ?? error.stack)}\n`);
  process.exitCode = exitCodeOf(error);
}

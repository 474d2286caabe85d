/** Another program: how it ended, what it complained of, and that it ends with all that it started. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { systemClock as clock } from './clock.ts';
import { runProgram } from './run-program.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'outpost-program-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const sh = (script: string): readonly string[] => ['sh', '-c', script, 'sh', folder];
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a program', () => {
  it('is told by how it ended, and by the first line of what it complained of', async () => {
    const options = { clock, limitMs: 60_000, signal: never };
    expect(await runProgram(sh('exit 0'), options)).toEqual({ is: 'exited', code: 0, complaint: '' });
    const ran = await runProgram(sh('echo first >&2; echo second >&2; exit 3'), options);
    expect(ran).toEqual({ is: 'exited', code: 3, complaint: 'first' });
    const loud = await runProgram(sh('head -c 100000 /dev/zero | tr "\\0" x >&2; exit 1'), options);
    expect(loud.complaint.length).toBeLessThanOrEqual(300);
  });

  it('that is not there is missing', async () => {
    const options = { clock, limitMs: 60_000, signal: never };
    expect(await runProgram(['no-such-program'], options)).toMatchObject({ is: 'missing' });
    expect(await runProgram([folder], options)).toMatchObject({ is: 'missing' });
  });

  it('hears its input, also when it does not listen', async () => {
    const options = { clock, limitMs: 60_000, signal: never };
    await runProgram(sh('cat > "$1/heard"'), { ...options, input: '您好\n' });
    expect(await readFile(join(folder, 'heard'), 'utf8')).toBe('您好\n');
    const deaf = await runProgram(sh('exec 0<&-; exit 0'), { ...options, input: 'x'.repeat(1_000_000) });
    expect(deaf).toMatchObject({ is: 'exited', code: 0 });
  });

  it.each(['overdue', 'aborted'] as const)(
    'that is %s ends with what it started, also against its will',
    async (why) => {
      const stop = new AbortController();
      const script = 'trap "" TERM; sleep 600 & echo "$$ $!" > "$1/pids"; wait; wait';
      const limitMs = why === 'overdue' ? 3_000 : 600_000;
      const running = runProgram(sh(script), { clock, limitMs, signal: stop.signal });
      const pids = await eventually(async () => {
        const text = await readFile(join(folder, 'pids'), 'utf8').catch(() => '');
        return text.endsWith('\n') ? text.trim().split(' ').map(Number) : undefined;
      }, 'its processes').catch(() => []);
      if (why === 'aborted') stop.abort();
      expect(await running).toMatchObject({ is: why });
      expect(pids).toHaveLength(2);
      await eventually(() => !pids.some(isAlive), 'the end of both');
    },
  );
});

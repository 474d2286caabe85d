import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { processSeconds } from './process-time.ts';

it('counts what a process worked, whatever it is called', async () => {
  const child = spawn(process.execPath, ['-e', "process.title = 'a (b) c'; for (;;);"], { stdio: 'ignore' });
  try {
    const pid = child.pid ?? 0;
    await eventually(() => processSeconds(pid) > 0.2, 'it has worked for 0.2 s');
    const own = process.cpuUsage();
    expect(processSeconds(process.pid)).toBeCloseTo((own.user + own.system) / 1e6, 0);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

it('says that a process is not there', () => {
  expect(() => processSeconds(0)).toThrow(/ENOENT/);
});

/** The unit as systemd itself judges it, offline. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { generatedPath, unitName } from './layout.ts';
import { unitText } from './unit.ts';

const mostExposed = 1.8;

function analyze(...args: readonly string[]): { readonly code: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  return { code: status, text: stdout + stderr };
}

describeWith('the unit', [needsProgram('systemd-analyze', 'systemd')], () => {
  it(`is exposed to at most ${mostExposed}`, () => {
    const { text } = analyze('security', '--offline=yes', '--no-pager', generatedPath(unitName));
    const level = /exposure level for outpost\.service: ([\d.]+)/.exec(text)?.[1];
    expect(Number(level), text).toBeGreaterThan(0);
    expect(Number(level), text).toBeLessThanOrEqual(mostExposed);
  });

  it('says nothing that systemd does not know, but for the steps of later versions', () => {
    const { text } = analyze('verify', '--man=no', generatedPath(unitName));
    const said = text
      .split('\n')
      .filter((line) => line.includes(unitName) && !/RestartSteps|RestartMaxDelaySec/.test(line));
    expect(said.filter((line) => !line.includes('is not executable'))).toEqual([]);
  });
});

it('is started again for ever, and lets the agent do what it must', () => {
  const text = unitText();
  for (const line of [
    'Type=notify',
    'NotifyAccess=main',
    'Restart=always',
    'StartLimitIntervalSec=0',
    'OOMPolicy=continue',
  ])
    expect(text).toContain(`\n${line}\n`);
  // V8 compiles, /proc/cpuinfo is read, devices are opened, cameras are asked.
  expect(text).not.toMatch(/^(MemoryDenyWriteExecute=yes|ProcSubset=pid|PrivateDevices=yes|PrivateNetwork=yes)/m);
  for (const device of ['ttyS', 'ttyUSB', 'ttyACM', 'ttyAMA', 'video4linux'])
    expect(text).toContain(`DeviceAllow=char-${device} rw`);
});

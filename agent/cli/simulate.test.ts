/** outpost simulate fleet as a person or a script runs it. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { assetPath } from '#agent/core/program.ts';

const simulate = (...words: string[]) =>
  spawnSync(process.execPath, [assetPath('agent', 'main.ts'), 'simulate', 'fleet', ...words], { encoding: 'utf8' });

it('prints a table, or JSON', () => {
  const table = simulate('--devices', '2', '--seconds', '0.5', '--rate', '20');
  expect(table.status).toBe(0);
  expect(table.stdout).toMatch(/^lost +0 /m);
  const { status, stdout } = simulate('--devices', '2', '--seconds', '0.5', '--rate', '20', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ devices: 2, waiting: 0, arrivals: { lost: 0 } });
});

it.each([
  [[], 2],
  [['--devices', '0'], 2],
  [['--devices', '1.5'], 2],
  [['--devices', '1', '--rate', 'x'], 2],
  [['--devices', '1', '--outages', '3s/10s'], 2],
  [['--devices', '1', '--prefix', 'A/b'], 2],
  [['--devices', '1', '--broker', 'http://localhost'], 3],
  [['--devices', '1', '--consumer', 'x'], 3],
  [['--devices', '1', '--root', 'other'], 3],
  [['--devices', '1', '--password-file', '/nowhere'], 3],
  [['--devices', '1', '--broker', 'mqtts://localhost', '--outages', '10s/3s'], 3],
])('refuses %j', (words, code) => {
  const { status, stderr } = simulate(...words);
  expect(status).toBe(code);
  expect(stderr).toMatch(/error|config-invalid/);
});

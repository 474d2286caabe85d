import { execFileSync, spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { program } from '#agent/cli/commands.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { manPage } from './man.ts';

const when = { version: '0.1.0', epoch: 1_790_000_000 };
const page = manPage(program(false), when);

test('names every command that --help names, and its options, and none that is hidden', () => {
  const { commands } = program(false);
  const hidden = commands.filter((command) => command.name() === 'generate').map((command) => command.name());
  expect(hidden).toEqual(['generate']);
  for (const command of commands.filter((each) => !hidden.includes(each.name())))
    expect(page).toMatch(new RegExp(`^\\.SS ${command.name().replaceAll('-', '\\\\-')}( |$)`, 'm'));
  expect(page).toContain('.SS models verify');
  expect(page).toContain('.B \\-\\-allow\\-downgrade');
  expect(page).not.toContain('.SS generate');
});

test('is the same for the same commit, and tells its day', () => {
  expect(manPage(program(false), when)).toBe(page);
  expect(page.split('\n', 1)[0]).toBe('.TH OUTPOST 1 2026-09-21 "outpost 0.1.0" "User Commands"');
});

test('what would be a request or an escape stays text', () => {
  const odd = new Command('outpost').description(".so /etc/passwd\n\\fB 'quoted'");
  const text = manPage(odd, when);
  expect(text).not.toMatch(/^\.so/m);
  expect(text).toContain('\\&.so /etc/passwd');
  expect(text).toContain('\\efB');
});

describeWith('groff', [needsProgram('groff', 'groff-base')], () => {
  test('sets it without a warning', () => {
    const set = spawnSync('groff', ['-man', '-Kutf8', '-Tutf8', '-ww', '-z'], { input: page, encoding: 'utf8' });
    expect({ status: set.status, stderr: set.stderr }).toEqual({ status: 0, stderr: '' });
    const text = execFileSync('groff', ['-man', '-Kutf8', '-Tascii', '-P-cbou'], { input: page, encoding: 'utf8' });
    expect(text).toMatch(/^ +install$/m);
  });
});

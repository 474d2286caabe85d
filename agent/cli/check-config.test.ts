/** check-config as a person or a script runs it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { assetPath } from '#agent/core/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'outpost-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

function outpost(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [assetPath('agent', 'main.ts'), ...words], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('check-config', () => {
  it('prints every value and where it came from', () => {
    writeFileSync(join(folder, 'outpost.yaml'), 'profile: kiosk\nuplink: { username: u, password: hunter2 }\n');
    const { status, stdout } = outpost('check-config');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^profile +kiosk +outpost\.yaml:1$/m);
    expect(stdout).toMatch(/^uplink\.password +\*\*\* +outpost\.yaml:2$/m);
    expect(stdout).toMatch(/^evidence\.width +960 px +profile kiosk$/m);
    expect(stdout).toMatch(/^uplink\.keepalive +30s +profile kiosk$/m);
    expect(stdout).not.toContain('hunter2');
  });

  it('prints every problem with its place, and fails with 3', () => {
    writeFileSync(join(folder, 'wrong.yaml'), 'log: { level: loud }\nvisoin: {}\n');
    const { status, stdout } = outpost('check-config', 'wrong.yaml');
    expect(status).toBe(3);
    expect(stdout).toContain('wrong.yaml:1:8: log.level: is not a known word');
    expect(stdout).toContain('wrong.yaml:2:1: visoin: is not a known key (did you mean vision?)');
  });

  it('prints JSON for scripts', () => {
    const wrong = JSON.parse(outpost('check-config', 'wrong.yaml', '--json').stdout) as Record<string, unknown>;
    expect(wrong).toMatchObject({
      ok: false,
      file: 'wrong.yaml',
      problems: [{ path: 'log.level', line: 1 }, { line: 2 }],
    });
    const right = JSON.parse(outpost('check-config', '--json').stdout) as Record<string, unknown>;
    expect(right).toMatchObject({ ok: true, file: 'outpost.yaml', problems: [] });
  });

  it('finds recordings and programs that are not there', () => {
    writeFileSync(join(folder, 'noise.wav'), 'no sound');
    writeFileSync(
      join(folder, 'voice.yaml'),
      `voice:
  announcements:
    - { id: a, file: { zh: gone.wav } }
    - { id: b, file: { en: noise.wav } }
power: { command: [/no/such/program, -h] }
`,
    );
    const { status, stdout } = outpost('check-config', 'voice.yaml');
    expect(status).toBe(3);
    expect(stdout).toContain('voice.yaml:3:24: voice.announcements[0].file.zh: gone.wav is not there');
    expect(stdout).toContain('voice.yaml:4:24: voice.announcements[1].file.en: noise.wav is no WAV file');
    expect(stdout).toContain('power.command[0]: /no/such/program is no program that can be run');
  });

  it('says that a file is not there', () => {
    const { status, stderr } = outpost('check-config', 'none.yaml');
    expect(status).toBe(3);
    expect(stderr).toContain('[config-missing]');
  });
});

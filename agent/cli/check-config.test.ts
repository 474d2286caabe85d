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

  it('asks the drivers whether they can do what is asked of them', () => {
    const ups = '{ id: ups, driver: megatec-ups, port: /dev/null }';
    const gnss = '{ id: gnss, driver: nmea-gnss, port: /dev/null }';
    const effect = (start: string, end: string): string =>
      `with: [{ peripheral: ups, start: { action: ${start} }, end: { action: ${end} } }]`;
    writeFileSync(
      join(folder, 'devices.yaml'),
      `peripherals: [${ups}, ${gnss}]
voice:
  languages: [zh]
  announcements:
    - { id: a, ${effect('blink', 'setBeeper, args: { on: loud }')} }
    - { id: b, ${effect('setBeeper, args: { on: true }', 'test')} }
    - { id: c, text: { en: word } }
power: { ups: gnss, cut: true }
`,
    );
    const { status, stdout } = outpost('check-config', 'devices.yaml');
    expect(status).toBe(3);
    expect(stdout).toContain(
      'announcements[0].with[0].start.action: is no action of megatec-ups (there are: shutdown,',
    );
    expect(stdout).toMatch(/announcements\[0\]\.with\[0\]\.end\.args: on: .*boolean.*such as \{"on":false\}/);
    expect(stdout).toContain('announcements[1].with[0].end.action: must be an action for which twice is once');
    expect(stdout).toContain('announcements[2]: says nothing in zh');
    expect(stdout).toContain('power.ups: nmea-gnss has no property onBattery');
    expect(stdout).toContain('power.cut: nmea-gnss has no action shutdown');
  });

  it('says that a file is not there', () => {
    const { status, stderr } = outpost('check-config', 'none.yaml');
    expect(status).toBe(3);
    expect(stderr).toContain('[config-missing]');
  });
});

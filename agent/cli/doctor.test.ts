import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import type { Finding } from './doctor-finding.ts';

const main = resolve(import.meta.dirname, '../main.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-doctor-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Examined {
  readonly code: number;
  readonly text: string;
  readonly verdict: (check: string) => Finding;
}

async function examine(yaml: string, environment: Readonly<Record<string, string>> = {}): Promise<Examined> {
  const config = join(folder, 'outpost.yaml');
  writeFileSync(config, `storage: { path: ${JSON.stringify(join(folder, 'data'))} }\n${yaml}`);
  const env = { PATH: process.env['PATH'], HOME: folder, OUTPOST_MODELS: testData('models'), ...environment };
  return new Promise((done) => {
    execFile(
      process.execPath,
      [main, 'doctor', '--json', '--config', config],
      { env, cwd: folder },
      (error, stdout, stderr) => {
        const findings = JSON.parse(stdout) as Finding[];
        const verdict = (check: string): Finding =>
          findings.find((finding) => finding.check === check) ?? expect.unreachable(`${check} is missing: ${stdout}`);
        done({ code: Number(error?.code ?? 0), text: stdout + stderr, verdict });
      },
    );
  });
}

describe('what is wrong is named, each with what mends it', () => {
  test('a camera and a broker that are not there, without their passwords', async () => {
    const { code, text, verdict } = await examine(`
cameras:
  - { id: gone, url: "rtsp://admin:camerasecret@127.0.0.1:9/stream" }
uplink: { url: "mqtt://127.0.0.1:9", username: u, password: brokersecret }
`);
    expect(code).toBe(1);
    expect(verdict('camera gone')).toMatchObject({ verdict: 'fail', hint: expect.stringMatching(/\w/) as string });
    expect(verdict('broker')).toMatchObject({ verdict: 'fail', hint: expect.stringMatching(/\w/) as string });
    expect(text).not.toMatch(/camerasecret|brokersecret/);
  });

  test('a configuration that is wrong; the rest is looked at all the same', async () => {
    const { code, verdict } = await examine('camaras: []');
    expect(code).toBe(1);
    expect(verdict('configuration').detail).toContain('did you mean cameras?');
    expect(verdict('cpu').detail).not.toBe('');
  });

  test('what a bare machine has not, and whatever it has: each check answers once', async () => {
    const { verdict } = await examine('', { LC_ALL: 'C' });
    for (const check of ['font', 'glibc', 'proc', 'locale', 'terminal', 'user', 'udev', 'service', 'hardware dog']) {
      const { verdict: said, hint } = verdict(check);
      if (said !== 'ok') expect(hint).toMatch(/\w/);
    }
    expect(verdict('locale')).toMatchObject({ verdict: 'warn', hint: 'export LC_ALL=C.UTF-8' });
    expect(verdict('glibc').detail).toMatch(/^glibc 2\.\d+$/);
  });

  test('no model', async () => {
    const { code, verdict } = await examine('', { OUTPOST_MODELS: '' });
    expect(code).toBe(1);
    expect(verdict('model').hint).toContain('outpost models pull');
  });

  test('a folder that nothing can be written to', async () => {
    writeFileSync(join(folder, 'data'), 'a file');
    expect((await examine('')).verdict('disk').verdict).toBe('fail');
  });
});

describeWith(
  'a machine that has everything',
  [needsData('models', 'yolox_nano_416.onnx'), needsData('video', 'vtest.avi'), needsProgram('ffmpeg')],
  () => {
    test('every check answers, and nothing fails', async () => {
      const { code, verdict } = await examine(`cameras: [{ id: front, url: ${testData('video', 'vtest.avi')} }]`);
      expect(code).toBe(0);
      expect(verdict('camera front')).toMatchObject({ verdict: 'ok', detail: '768x576, 10 frames/s' });
      expect(verdict('model').verdict).toBe('ok');
      for (const check of ['ffmpeg', 'cpu', 'memory', 'disk', 'clock', 'agent', 'broker']) {
        expect(verdict(check).verdict).not.toBe('fail');
      }
    });
  },
);

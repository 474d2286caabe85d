/** Replays: twice the same bytes, whole files or none, clear errors. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { needsTestedProgram, testedProgram } from '#agent/testing/program.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-replay-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function outpost(...words: string[]): Promise<Outcome> {
  const [program, ...leading] = testedProgram();
  return await new Promise((resolve) => {
    const env = { ...process.env, OUTPOST_MODELS: testData('models') };
    execFile(program, [...leading, ...words], { cwd: folder, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const rules = `
cameras:
  - id: square
    url: none.avi
    zones: [{ id: middle, polygon: [[0.3, 0.3], [0.8, 0.3], [0.8, 1], [0.3, 1]] }]
    lines: [{ id: gate, from: [0.5, 0], to: [0.5, 1] }]
rules:
  - { kind: intrusion, id: fence, zone: middle }
  - { kind: line, id: visitors, line: gate }
  - { kind: crowd, id: crowd, atLeast: 4, after: 1s }
  - { kind: loitering, id: linger, zone: middle, after: 10s }
  - { kind: zone, id: inside, zone: middle }
`;

describeWith(
  'replay',
  [needsTestedProgram, needsData('video', 'vtest.avi'), needsData('models', 'yolox_nano_416.onnx')],
  () => {
    it('gives the same bytes twice, events of every rule that fits, and tracks in the video’s pixels', async () => {
      await writeFile(join(folder, 'c.yaml'), rules);
      const run = async (name: string): Promise<Outcome> =>
        await outpost(
          'replay',
          '--video',
          testData('video', 'vtest.avi'),
          '--config',
          'c.yaml',
          '--out',
          `${name}.ndjson`,
          '--mot',
          `${name}.txt`,
          '--json',
        );
      const first = await run('a');
      expect(first).toMatchObject({ code: 0 });
      await run('b');
      const events = await readFile(join(folder, 'a.ndjson'), 'utf8');
      const tracks = await readFile(join(folder, 'a.txt'), 'utf8');
      expect(events.length).toBeGreaterThan(1_000);
      expect(await readFile(join(folder, 'b.ndjson'), 'utf8')).toBe(events);
      expect(await readFile(join(folder, 'b.txt'), 'utf8')).toBe(tracks);
      expect(JSON.parse(first.stdout)).toMatchObject({ frames: 795, fps: 10 });

      const parsed = events
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; data: { incident: string } });
      expect(parsed.map((event) => checkEvent(event)).filter((problem) => problem !== undefined)).toEqual([]);
      const kinds = new Set(parsed.map(({ type }) => type.split('.')[1]));
      expect(kinds).toEqual(new Set(['crowd', 'intrusion', 'line', 'loitering', 'zone']));
      for (const { type, data } of parsed.filter((event) => event.type.endsWith('.start'))) {
        const ends = parsed.filter(
          (event) => event.type === type.replace('.start', '.end') && event.data.incident === data.incident,
        );
        expect(ends).toHaveLength(1);
      }

      const rows = tracks
        .trimEnd()
        .split('\n')
        .map((line) => line.split(',').map(Number));
      expect(Math.min(...rows.map((row) => row[0] as number))).toBeGreaterThanOrEqual(1);
      expect(Math.max(...rows.map((row) => row[0] as number))).toBeLessThanOrEqual(795);
      expect(Math.max(...rows.map((row) => (row[2] as number) + (row[4] as number)))).toBeGreaterThan(600);
      expect(rows.every((row) => row.length === 10)).toBe(true);
    });

    it('replays the street with its truth', async () => {
      const video = 'sim://street?seed=3&seconds=4';
      const outcome = await outpost(
        'replay',
        '--video',
        video,
        '--out',
        'e.ndjson',
        '--mot',
        't.txt',
        '--truth',
        'gt.txt',
        '--json',
      );
      expect(outcome).toMatchObject({ code: 0 });
      const measured = await outpost('eval', 'tracking', '--truth', 'gt.txt', '--tracks', 't.txt', '--json');
      expect(measured).toMatchObject({ code: 0 });
      expect((JSON.parse(measured.stdout) as { recall?: number }).recall ?? 1).toBeGreaterThan(0.4);
    });

    it.each([
      ['missing', undefined],
      ['empty', ''],
      ['hostile', '#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n'],
      ['text', 'this is no video at all\n'.repeat(100)],
    ])('says clearly what is wrong with a %s file, and leaves no half file', async (name, content) => {
      if (content !== undefined) await writeFile(join(folder, `${name}.avi`), content);
      const outcome = await outpost('replay', '--video', `${name}.avi`, '--out', 'e.ndjson', '--json');
      expect([3, 4]).toContain(outcome.code);
      const { error } = JSON.parse(outcome.stdout) as { error: { code: string; hint: string } };
      expect(error.code).toMatch(/^source-/);
      expect(error.hint.length).toBeGreaterThan(10);
      expect((await readdir(folder)).filter((file) => file.startsWith('e.ndjson'))).toEqual([]);
    });

    it('takes a truncated video for what is in it', async () => {
      const whole = await readFile(testData('video', 'vtest.avi'));
      await writeFile(join(folder, 'cut.avi'), whole.subarray(0, whole.length / 8));
      const outcome = await outpost('replay', '--video', 'cut.avi', '--out', 'e.ndjson', '--json');
      expect(outcome).toMatchObject({ code: 0 });
      expect((JSON.parse(outcome.stdout) as { frames: number }).frames).toBeGreaterThan(20);
    });

    it('says that an output cannot be written', async () => {
      const outcome = await outpost(
        'replay',
        '--video',
        testData('video', 'vtest.avi'),
        '--out',
        '/nowhere/e.ndjson',
        '--json',
      );
      expect(outcome.code).toBe(3);
      expect(JSON.parse(outcome.stdout)).toMatchObject({ error: { code: 'output-unwritable' } });
    });
  },
);

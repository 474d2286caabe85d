import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';

const main = join(import.meta.dirname, '../main.ts');

function outpost(...options: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'eval', 'tracking', ...options], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

interface Answer {
  readonly runs: readonly { readonly name: string; readonly measures: Readonly<Record<string, number>> }[];
  readonly mean?: Readonly<Record<string, number>>;
}

const answerOf = (...options: string[]): Answer => JSON.parse(outpost(...options, '--json').stdout) as Answer;

const sequence = (kind: string): string => testData('mot', `TUD-Stadtmitte-${kind}.txt`);

describeWith('eval tracking on TUD-Stadtmitte', [needsData('mot', 'TUD-Stadtmitte-gt.txt')], () => {
  const truth = ['--truth', sequence('gt')];

  test('gives the table that py-motmetrics publishes, and HOTA', () => {
    const { status, stdout } = outpost(...truth, '--tracks', sequence('test'));
    expect(status).toBe(0);
    const [head, row] = stdout.split('\n').map((line) => line.trim().split(/\s+/));
    expect(head?.slice(0, 15).join(' ')).toBe('IDF1 IDP IDR Rcll Prcn GT MT PT ML FP FN IDs FM MOTA MOTP');
    expect(row?.slice(1, 16).join(' ')).toBe('64.5% 82.0% 53.1% 60.9% 94.0% 10 5 4 1 45 452 7 6 56.4% 0.346');
    const { measures } = answerOf(...truth, '--tracks', sequence('test')).runs[0] ?? {};
    // The algorithm of TrackEval's hota.py in numpy and scipy, run on the same two files.
    expect(measures?.['hota']).toBeCloseTo(0.3978490169927877, 12);
    expect(measures?.['detA']).toBeCloseTo(0.3922675723693166, 12);
    expect(measures?.['assA']).toBeCloseTo(0.40884075181129964, 12);
    expect(measures?.['locA']).toBeCloseTo(0.737521177178062, 12);
  });

  test('our tracker with what ships reaches its bar, and holds it on worse detections', () => {
    const { runs, mean } = answerOf(...truth, '--detections', sequence('det'), '--size', '640x480', '--perturb', '10');
    const [asGiven] = runs;
    expect(runs).toHaveLength(11);
    expect(asGiven?.measures['mota']).toBeGreaterThanOrEqual(0.71);
    expect(asGiven?.measures['idf1']).toBeGreaterThanOrEqual(0.71);
    for (const name of ['mota', 'idf1']) {
      expect(mean?.[name]).toBeGreaterThanOrEqual((asGiven?.measures[name] ?? 1) - 0.03);
    }
  });

  test('does not hang on one seed, nor on the size that boxes are divided by', () => {
    const { mean } = answerOf(...truth, '--detections', sequence('det'), '--perturb', '10', '--seed', '1000');
    expect(mean?.['mota']).toBeGreaterThanOrEqual(0.68);
    expect(mean?.['idf1']).toBeGreaterThanOrEqual(0.68);
  });
});

describe('eval tracking', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outpost-eval-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const good = file('good.txt', '1,1,0,0,10,20,1\n');

  test.each([
    ['neither tracks nor detections', ['--truth', good]],
    ['both', ['--truth', good, '--tracks', good, '--detections', good]],
    ['no truth', ['--tracks', good]],
    ['a size that is none', ['--truth', good, '--detections', good, '--size', '640']],
    ['no frames a second', ['--truth', good, '--detections', good, '--fps', '0']],
  ])('refuses %s as a wrong command line', (_what, options) => {
    expect(outpost(...options)).toMatchObject({ status: 2, stdout: '' });
  });

  test.each([
    ['a missing file', join(folder, 'missing.txt'), 'mot-unreadable'],
    ['a folder', folder, 'mot-unreadable'],
    ['an empty file', file('empty.txt', '\n'), 'mot-garbled'],
    ['a cut line', file('cut.txt', '1,1,0,0,10,20,1\n2,1,0,'), 'cut.txt, line 2'],
    ['an id twice in a frame', file('twice.txt', '1,1,0,0,10,20,1\n1,1,5,0,10,20,1\n'), 'id 1 comes twice in frame 1'],
    ['binary', file('binary.txt', '\u0000\u0001\uFFFD'), 'binary.txt, line 1'],
  ])('names what is wrong with %s', (_what, tracks, message) => {
    const { status, stderr } = outpost('--truth', good, '--tracks', tracks);
    expect(status).toBe(3);
    expect(stderr).toContain(message);
  });
});

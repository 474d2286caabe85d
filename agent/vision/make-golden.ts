/**
 * Makes the golden files of a model anew: `node agent/vision/make-golden.ts NAME...`, with the weights at hand.
 *
 *   street.jpg -> session -> output rows that matter (head.json) -> models/golden/oracle.py -> candidates (head.json)
 *                         -> detector -> detections (street.json)
 */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assetPath } from '#agent/core/program.ts';
import type { Manifest } from '#models/manifest.ts';
import { type Tensor, frameFormat } from '#models/model.ts';
import { resolveModel } from '#models/registry.ts';
import { Detector } from './detector.ts';
import { pictureToPlanes } from './letterbox.ts';
import { type Session, openSession } from './session.ts';

/** Rows whose score reaches this are kept; a little below what candidates must reach, so that some are refused. */
const rowScore = 0.2;
const minScore = 0.3;

/** Best score of each row of an output, or nothing where the output holds no scores. */
function rowScores({ data, dims: [, rows = 0, width = 0] }: Tensor, manifest: Manifest): readonly number[] {
  const row = (index: number): Float32Array => data.subarray(index * width, (index + 1) * width);
  const best = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, value), 0);
  const indexes = Array.from({ length: rows }, (_row, index) => index);
  if (manifest.head === 'yolox') return indexes.map((index) => (row(index)[4] ?? 0) * best(row(index).subarray(5)));
  return width === 80 ? indexes.map((index) => best(row(index))) : [];
}

function keptRows(outputs: Readonly<Record<string, Tensor>>, manifest: Manifest): readonly Record<string, unknown>[] {
  return Object.values(outputs).flatMap((scored) =>
    rowScores(scored, manifest).flatMap((score, row) =>
      score < rowScore
        ? []
        : Object.entries(outputs)
            .filter(([, { dims }]) => dims[1] === scored.dims[1])
            .map(
              ([
                output,
                {
                  data,
                  dims: [, , width = 0],
                },
              ]) => ({
                output,
                row,
                values: Buffer.from(data.slice(row * width, (row + 1) * width).buffer).toString('base64'),
              }),
            ),
    ),
  );
}

async function make(name: string): Promise<void> {
  const model = await resolveModel(name);
  const { manifest } = model;
  await using session = await openSession(model, { threads: 1 });
  const picture = await readFile(assetPath('models', 'golden', 'street.jpg'));
  const { bytes, source } = await pictureToPlanes(picture, frameFormat(manifest));
  let outputs: Readonly<Record<string, Tensor>> = {};
  const listening: Session = {
    inputDims: session.inputDims,
    async run(input) {
      outputs = await session.run(input);
      return outputs;
    },
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  const { detections } = await new Detector(listening, model).detect(bytes, source, { minScore });
  const dims = Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, tensor.dims]));
  const head = { minScore, outputs: dims, rows: keptRows(outputs, manifest) };
  const oracle = spawnSync('/usr/bin/python3', [assetPath('models', 'golden', 'oracle.py')], {
    input: JSON.stringify({ head: manifest.head, strides: manifest.strides, size: manifest.input, ...head }),
    encoding: 'utf8',
  });
  if (oracle.status !== 0) throw new Error(oracle.stderr);
  const folder = assetPath('models', name, 'golden');
  await mkdir(folder, { recursive: true });
  const candidates = JSON.parse(oracle.stdout) as unknown;
  await writeFile(join(folder, 'head.json'), `${JSON.stringify({ ...head, candidates }, undefined, 1)}\n`);
  await writeFile(join(folder, 'street.json'), `${JSON.stringify({ minScore, detections }, undefined, 1)}\n`);
  process.stdout.write(`${name}: ${head.rows.length} rows, ${detections.length} detections\n`);
}

for (const name of process.argv.slice(2)) await make(name);

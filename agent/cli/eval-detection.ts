/** `outpost eval detection`: how well a model finds what is in a folder of pictures with their truth. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { JudgedPicture, TrueObject } from '#agent/eval/detection.ts';
import type { Model } from '#models/model.ts';
import { note, print, printJson, printTable } from './output.ts';

const examples = `
The folder holds pictures (.jpg, .jpeg, .png) and beside each its truth as Pascal VOC XML (.xml).
AP50: a box is right when its IoU is at least 0.5; all-point interpolation; objects marked difficult do not count.
"vehicle" is car and bus as one class.

Examples:
  outpost eval detection --data voc
  outpost eval detection --data voc --model nanodet-g --json`;

interface Options {
  readonly data: string;
  readonly model: string;
  readonly minScore: number;
  readonly json?: true;
}

function parseScore(text: string): number {
  const score = text.trim() === '' ? Number.NaN : Number(text);
  if (score >= 0 && score <= 1) return score;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}

export const evalDetectionCommand = (): Command =>
  new Command('detection')
    .description('average precision of a model on pictures with known boxes')
    .requiredOption('-d, --data <folder>', 'pictures with Pascal VOC XML')
    .option('-m, --model <name>', 'a model, or the folder of one', 'yolox-nano')
    .option('--min-score <score>', 'least score that is looked at', parseScore, 0.01)
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(evalDetection);

const groups = [{ name: 'vehicle', labels: ['car', 'bus'] }];

async function evalDetection(options: Options): Promise<void> {
  const [{ resolveModel }, { evaluateClass, meanAveragePrecision }] = await Promise.all([
    import('#models/registry.ts'),
    import('#agent/eval/detection.ts'),
  ]);
  const model = await resolveModel(options.model);
  const { pictures, msPerPicture } = await judgePictures(options.data, model, options.minScore);
  const labels = [...new Set(pictures.flatMap(({ truth }) => truth.map(({ label }) => label)))].sort();
  const classes = labels.map((name) => evaluateClass(pictures, { name, labels: [name] }));
  const grouped = groups.map((group) => evaluateClass(pictures, group));
  const mean = meanAveragePrecision(classes);
  if (options.json) {
    const meaning = { minIou: 0.5, interpolation: 'all-point', minScore: options.minScore };
    printJson({
      model: model.manifest.name,
      pictures: pictures.length,
      ...meaning,
      classes,
      groups: grouped,
      mean,
      msPerPicture,
    });
    return;
  }
  const row = ({ name, objects, averagePrecision }: (typeof classes)[number]): (string | number)[] => [
    name,
    objects,
    percent(averagePrecision).padStart(6),
  ];
  printTable([['class', 'objects', '  AP50'], ...classes.map(row), ...grouped.map(row)]);
  print();
  print(
    `${model.manifest.name}: mean AP50 ${percent(mean)} over ${classes.length} classes, ${pictures.length} pictures`,
  );
  print(`${msPerPicture.toFixed(1)} ms a picture in the model, one thread`);
}

const percent = (value: number | undefined): string => (value === undefined ? '-' : `${(100 * value).toFixed(1)}%`);

interface Judged {
  readonly pictures: readonly JudgedPicture[];
  readonly msPerPicture: number;
}

async function judgePictures(folder: string, model: Model, minScore: number): Promise<Judged> {
  const [{ OutpostError }, { Detector }, { openSession }, { pictureToPlanes }, { frameFormat }] = await Promise.all([
    import('#agent/core/errors.ts'),
    import('#agent/vision/detector.ts'),
    import('#agent/vision/session.ts'),
    import('#agent/vision/letterbox.ts'),
    import('#models/model.ts'),
  ]);
  const cases = await casesIn(folder);
  if (cases.length === 0) throw new OutpostError('truth-missing', `${folder} has no picture with an .xml beside it.`);
  await using session = await openSession(model, { threads: 1 });
  const detector = new Detector(session, model);
  const pictures: JudgedPicture[] = [];
  let totalMs = 0;
  for (const { picture, xml } of cases) {
    const truth = await readTruth(xml);
    const { bytes, source } = await pictureToPlanes(await readFile(picture), frameFormat(model.manifest));
    const { detections, inferenceMs } = await detector.detect(bytes, source, { minScore });
    pictures.push({ detections, truth });
    totalMs += inferenceMs;
    if (pictures.length % 10 === 0 || pictures.length === cases.length) note(`${pictures.length}/${cases.length}`);
  }
  return { pictures, msPerPicture: totalMs / cases.length };
}

interface Case {
  readonly picture: string;
  readonly xml: string;
}

async function casesIn(folder: string): Promise<readonly Case[]> {
  const { OutpostError, messageOf } = await import('#agent/core/errors.ts');
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new OutpostError('truth-missing', `${folder} cannot be read: ${messageOf(cause)}`, { cause });
  });
  const truths = new Set(names.filter((name) => name.endsWith('.xml')));
  return names
    .filter((name) => ['.jpg', '.jpeg', '.png'].includes(extname(name).toLowerCase()))
    .map((name) => ({ name, xml: `${basename(name, extname(name))}.xml` }))
    .filter(({ xml }) => truths.has(xml))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, xml }) => ({ picture: join(folder, name), xml: join(folder, xml) }));
}

async function readTruth(path: string): Promise<readonly TrueObject[]> {
  const [{ OutpostError }, { parseVoc }] = await Promise.all([
    import('#agent/core/errors.ts'),
    import('#agent/eval/detection-voc.ts'),
  ]);
  const objects = parseVoc(await readFile(path, 'utf8'));
  if (typeof objects === 'string') throw new OutpostError('truth-garbled', `${path}: ${objects}.`);
  return objects;
}

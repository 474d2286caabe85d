/** `outpost eval tracking`: tracks, or our tracker over given detections, against the truth. */
import { basename } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { MotRow } from '#agent/eval/mot.ts';
import type { TrackingMeasures } from '#agent/eval/tracking.ts';
import { printJson, printTable } from './output.ts';

const help = `
Examples:
  outpost eval tracking --truth gt.txt --tracks tracks.txt
  outpost eval tracking --truth gt.txt --detections det.txt --fps 25 --size 640x480
  outpost eval tracking --truth gt.txt --detections det.txt --perturb 10 --seed 1

All files are in MOTChallenge format, one box a line: frame,id,x,y,w,h,score with frames from 1. True boxes whose
score is a fraction below 1 are not counted. Boxes agree at an IoU of 0.5 (HOTA: at 0.05 to 0.95).
--low, --high and --birth are what the scores of the given detections mean; their defaults fit the detections that
SORT publishes for MOT15. Everything else is as it ships.
--perturb N: also the mean of N copies with 3 % of the detections left out and 1.5 % noise on their boxes.`;

interface EvalTrackingOptions {
  readonly truth: string;
  readonly tracks?: string;
  readonly detections?: string;
  readonly fps: number;
  readonly size?: PictureSize;
  readonly low?: number;
  readonly high?: number;
  readonly birth?: number;
  readonly perturb: number;
  readonly seed: number;
  readonly json?: boolean;
}

interface Run {
  readonly name: string;
  readonly measures: TrackingMeasures;
}

export const evalTrackingCommand = (): Command =>
  new Command('tracking')
    .description('CLEAR-MOT, ID measures and HOTA')
    .requiredOption('--truth <file>', 'true boxes with ids')
    .option('--tracks <file>', 'tracks to judge')
    .option('--detections <file>', 'detections: our tracker runs over them first')
    .option('--fps <n>', 'frames a second of the detections', positive, 25)
    .option('--size <WxH>', 'picture in pixels; default: the extent of all boxes', pictureSize)
    .option('--low <score>', 'least score that may continue a track', score)
    .option('--high <score>', 'least score of the first pass', score)
    .option('--birth <score>', 'least score that may start a track', score)
    .option('--perturb <n>', 'also run over this many worsened copies', copies, 0)
    .option('--seed <n>', 'of the first copy', whole, 1)
    .option('--json', 'one JSON object')
    .addHelpText('after', help)
    .action(async (options: EvalTrackingOptions, command: Command) => {
      if ((options.tracks === undefined) === (options.detections === undefined)) {
        command.error('error: give either --tracks or --detections');
      }
      const { runs, mean } = await measure(options);
      if (options.json) printJson({ runs, ...(mean ? { mean } : {}) });
      else printTable(await tableOf(mean ? [...runs, { name: 'mean of copies', measures: mean }] : runs));
    });

async function measure(options: EvalTrackingOptions): Promise<{ runs: readonly Run[]; mean?: TrackingMeasures }> {
  const [{ readMot }, { compare }, { trackingMeasures, meanMeasures }] = await Promise.all([
    import('#agent/eval/mot-file.ts'),
    import('#agent/eval/sequence.ts'),
    import('#agent/eval/tracking.ts'),
  ]);
  const truth = await readMot(options.truth);
  const judge = (tracks: readonly MotRow[], tracksName: string): TrackingMeasures =>
    trackingMeasures(compare(truth, tracks, { truth: options.truth, tracks: tracksName }));
  if (options.tracks !== undefined) {
    return {
      runs: [{ name: basename(options.tracks), measures: judge(await readMot(options.tracks), options.tracks) }],
    };
  }
  const file = options.detections ?? '';
  const detections = await readMot(file);
  const track = await trackerFor(options, [...truth, ...detections]);
  const asGiven = { name: basename(file), measures: judge(track(detections), 'our tracks') };
  const worse = await worsened(detections, options);
  const perturbed = worse.map(({ name, rows }) => ({ name, measures: judge(track(rows), name) }));
  return {
    runs: [asGiven, ...perturbed],
    ...(perturbed.length > 0 ? { mean: meanMeasures(perturbed.map(({ measures }) => measures)) } : {}),
  };
}

/** @returns a function that runs a fresh tracker with the parameters that ship */
async function trackerFor(
  options: EvalTrackingOptions,
  rows: readonly MotRow[],
): Promise<(detections: readonly MotRow[]) => MotRow[]> {
  const [{ extentOf, follow, mot15Thresholds }, { Tracker }, { trackerParameters }] = await Promise.all([
    import('#agent/eval/follow.ts'),
    import('#agent/vision/tracker/tracker.ts'),
    import('#agent/vision/tracker/parameters.ts'),
  ]);
  const { low = mot15Thresholds.low, high = mot15Thresholds.high, birth = mot15Thresholds.birth } = options;
  const parameters = trackerParameters({ low, high, birth });
  const footage = { fps: options.fps, size: options.size ?? extentOf(rows) };
  return (detections) => follow(detections, new Tracker(parameters), footage);
}

async function worsened(
  detections: readonly MotRow[],
  { perturb: count, seed }: EvalTrackingOptions,
): Promise<readonly { name: string; rows: readonly MotRow[] }[]> {
  const [{ perturb, usualPerturbation }, { seededRandom }] = await Promise.all([
    import('#agent/eval/perturb.ts'),
    import('#agent/core/random.ts'),
  ]);
  return Array.from({ length: count }, (_copy, index) => ({
    name: `copy, seed ${seed + index}`,
    rows: perturb(detections, usualPerturbation, seededRandom(seed + index)),
  }));
}

const tableOf = async (runs: readonly Run[]): Promise<string[][]> => {
  const { measuresTable } = await import('#agent/eval/tracking.ts');
  return measuresTable(runs);
};

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1000)) throw new InvalidArgumentError('It must be a number above 0, at most 1000.');
  return value;
}

function score(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function copies(text: string): number {
  const value = whole(text);
  if (value > 1000) throw new InvalidArgumentError('At most 1000.');
  return value;
}

function pictureSize(text: string): PictureSize {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (!Number(width) || !Number(height)) throw new InvalidArgumentError('It must be like 640x480.');
  return { width: Number(width), height: Number(height) };
}

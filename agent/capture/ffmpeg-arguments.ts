/**
 * The command line of one ffmpeg run.
 *
 *   input -> [limit rate] -+-> scale, pad, planes, mark on stderr -> pipe:1 (raw frames of one size, whatever the source does)
 *                          '-> every n-th -> scale down -> pipe:3 (JPEG)
 *
 * The marks (ffmpeg's own `showinfo`) stand on stderr among the decoder's complaints, in their order: one for each frame of
 * pipe:1, written before it. Two pipes alone would tell nothing of what came first.
 */
import type { FrameFormat } from '#agent/domain/frame.ts';
import type { Ffmpeg } from './ffmpeg.ts';

export interface VideoInput {
  /** Options of the input, before `-i`. */
  readonly options: readonly string[];
  /** What stands after `-i`. */
  readonly target: string;
}

export interface PictureOptions {
  readonly everyFrames: number;
  /** Wider pictures are scaled down, px. */
  readonly maxWidth: number;
  /** How many are kept. */
  readonly keep: number;
}

export interface VideoOutput {
  readonly format: FrameFormat;
  readonly pictures?: PictureOptions | undefined;
  /** Frames above this rate are left out, 1/s. */
  readonly maxFps?: number | undefined;
}

/** Marks of what was decoded (only where some of it is left out), and of what comes out of pipe:1. */
export const marks = { decoded: 'decoded', shown: 'shown' } as const;

/** A hostile file may claim any size: 8K pictures and no more. */
const maxPixels = 8192 * 8192;

export function ffmpegArguments(ffmpeg: Ffmpeg, input: VideoInput, output: VideoOutput): string[] {
  const asItComes = ['-threads', '1', '-flush_packets', '1', ...ffmpeg.passthrough];
  const head = '-nostdin -hide_banner -nostats -loglevel level+verbose -filter_complex_threads 1 -threads 1'.split(' ');
  const frames = ['-map', '[frames]', ...asItComes, '-f', 'rawvideo', 'pipe:1'];
  const pictures = ['-map', '[pictures]', '-c:v', 'mjpeg', '-q:v', '3', ...asItComes, '-f', 'image2pipe', 'pipe:3'];
  return [
    ...head,
    '-max_pixels',
    String(maxPixels),
    ...input.options,
    '-i',
    input.target,
    '-filter_complex',
    filterGraph(ffmpeg, output),
    ...frames,
    ...(output.pictures ? pictures : []),
  ];
}

/** Filters that leave out frames above this rate: whoever decodes the source again must leave out the same. */
export const rateLimit = (maxFps: number | undefined): string[] =>
  maxFps ? [`select='isnan(prev_selected_t)+gte(t-prev_selected_t\\,${(1 / maxFps - 0.001).toFixed(6)})'`] : [];

/** Of the source's first video stream. */
export function filterGraph({ showinfo }: Pick<Ffmpeg, 'showinfo'>, output: VideoOutput): string {
  const { format, pictures, maxFps } = output;
  const mark = (name: string): string => `showinfo@${name}${showinfo}`;
  const limit = maxFps ? [mark(marks.decoded), ...rateLimit(maxFps)] : [];
  const frames = `${[...fitFilters(format), mark(marks.shown)].join(',')}[frames]`;
  if (!pictures) return `[0:v:0]${[...limit, frames].join(',')}`;
  const split = [...limit, 'split=2[b0][b1]'].join(',');
  return `[0:v:0]${split};[b0]${frames};[b1]${pictureFilters(pictures).join(',')}[pictures]`;
}

/** One a second, whatever the camera's own times are: they can go back, and the JPEG encoder ends at that. */
const pictureFilters = ({ everyFrames, maxWidth }: PictureOptions): string[] => [
  `select='not(mod(n\\,${everyFrames}))'`,
  `scale=w='min(iw\\,${maxWidth})':h=-2:flags=bilinear`,
  'format=yuvj420p',
  'setpts=N/TB',
];

/** The sizes are those of `fittedSize` and `fitGeometry`; ffmpeg works them out again whenever the source changes. */
function fitFilters({ width, height, fit, padding, pixels }: FrameFormat): string[] {
  // gbrp lies in memory as G, B, R.
  const planes = pixels === 'bgr-planar' ? '1:0:2' : '2:0:1';
  const order = ['format=gbrp', `shuffleplanes=${planes}`, 'format=gbrp'];
  if (fit === 'stretch') return [`scale@fit=${width}:${height}:flags=bilinear`, ...order];
  const side = (whole: number, own: string): string =>
    `max(1\\,min(${whole}\\,round(${own}*min(${width}/iw\\,${height}/ih))))`;
  const grey = padding.toString(16).padStart(2, '0').repeat(3);
  const offset = fit === 'letterbox-centre' ? ['floor((ow-iw)/2)', 'floor((oh-ih)/2)'] : ['0', '0'];
  return [
    `scale@fit=w='${side(width, 'iw')}':h='${side(height, 'ih')}':flags=bilinear`,
    'format=gbrp',
    `pad=w=${width}:h=${height}:x='${offset[0]}':y='${offset[1]}':color=0x${grey}`,
    ...order,
  ];
}

/**
 * A replay as a video to look at: the same frames once more, people hidden, then boxes, zones, lines and incidents drawn.
 *
 *   video --ffmpeg--> rgb24 frames --hide, annotate--> --ffmpeg--> .out.mp4.part --rename--> out.mp4
 *   sim street -------/                   ^ what the replay knew of each frame and its neighbours
 */
import { access, constants, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import type { Box, Point } from '#agent/domain/box.ts';
import type { Track } from '#agent/domain/track.ts';
import { annotate } from '#agent/vision/picture/annotate.ts';
import { type Hidden, pixelate } from '#agent/vision/picture/pixelate.ts';
import type { Annotation } from '#agent/vision/protocol.ts';
import { chooseEncoder, openEncoder } from './render-ffmpeg.ts';
import { type SourceRequest, sourceFrames } from './render-source.ts';

/** Something that goes on while this frame is seen. */
export interface RenderedIncident {
  readonly text: string;
  /** Ids of the tracks it is about; their boxes stand out. */
  readonly tracks: readonly number[];
}

/** What the replay knew of one frame. */
export interface RenderedFrame {
  readonly tracks: readonly Track[];
  /** Boxes of everything that may be a person, tracked or not. */
  readonly people: readonly Box[];
  readonly incidents: readonly RenderedIncident[];
}

export interface RenderRequest extends SourceRequest {
  /** Ends in .mp4 or .mkv; replaced when it is there. */
  readonly out: string;
  /** Frames a second. */
  readonly fps: number;
  /** By frame number. Frames after the last are not rendered; one that is missing is hidden as a whole. */
  readonly frames: readonly (RenderedFrame | undefined)[];
  readonly zones: Annotation['zones'];
  readonly lines: readonly { readonly id: string; readonly from: Point; readonly to: Point }[];
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** A detector that misses a face in one frame found it a moment before or finds it a moment later. */
const neighbours = 3;

/**
 * @returns how many frames were written
 * @throws OutpostError render-encoder, render-output, source-unreadable; no half file is left
 */
export async function renderVideo(request: RenderRequest): Promise<number> {
  const out = resolve(request.out);
  const muxer = muxerOf(out);
  await requireWritable(out);
  const encoder = await chooseEncoder(request.ffmpeg);
  const part = join(dirname(out), `.${basename(out)}.part`);
  try {
    await using encoding = openEncoder({ ...request, encoder, muxer, part });
    let done = 0;
    for await (const rgb of sourceFrames(request)) {
      request.signal?.throwIfAborted();
      if (done >= request.frames.length) break;
      const raster = { ...request.size, rgb };
      pixelate(raster, hiddenIn(request.frames, done));
      annotate(raster, annotationOf(request, request.frames[done]));
      await encoding.write(rgb);
      done += 1;
      request.progress?.(done, request.frames.length);
    }
    await encoding.finish();
    await rename(part, out);
    return done;
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}

function muxerOf(out: string): string {
  const muxers: Readonly<Record<string, string>> = { '.mp4': 'mp4', '.mkv': 'matroska' };
  const muxer = muxers[extname(out).toLowerCase()];
  if (muxer === undefined) {
    throw new OutpostError('render-output', `A rendered video is named .mp4 or .mkv, not ${basename(out)}.`, {
      hint: 'Name a file that ends in .mp4 or .mkv.',
    });
  }
  return muxer;
}

async function requireWritable(out: string): Promise<void> {
  try {
    await access(dirname(out), constants.W_OK);
  } catch (error) {
    throw new OutpostError('render-output', `${out} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** @internal */
export function hiddenIn(frames: readonly (RenderedFrame | undefined)[], n: number): Hidden {
  if (!frames[n]) return 'everything';
  return frames
    .slice(Math.max(0, n - neighbours), n + neighbours + 1)
    .flatMap((frame) => (frame ? peopleOf(frame) : []));
}

const peopleOf = ({ people, tracks }: RenderedFrame): readonly Box[] => [
  ...people,
  ...tracks.filter(({ label }) => label === 'person').map(({ box }) => box),
];

function annotationOf({ zones, lines }: RenderRequest, frame: RenderedFrame | undefined): Annotation {
  const involved = new Set(frame?.incidents.flatMap(({ tracks }) => tracks));
  return {
    title: frame?.incidents.map(({ text }) => text).join('   ') ?? '',
    boxes: (frame?.tracks ?? [])
      .filter(({ coasting }) => !coasting)
      .map(({ id, label, box }) => ({ box, text: `${label} ${id}`, accent: involved.has(id) })),
    zones,
    lines,
  };
}

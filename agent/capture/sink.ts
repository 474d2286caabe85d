/** Where a source puts what it reads: one for each camera, whatever the source is. */
import type { Clock } from '#agent/core/clock.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import type { FrameFormat, PictureSize } from '#agent/domain/frame.ts';
import type { CameraConfig } from '#config/schema.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import type { PictureOptions } from './ffmpeg-arguments.ts';
import type { FrameQueue } from './frame-queue.ts';
import type { PictureRing } from './picture-ring.ts';

export interface Sink {
  readonly camera: CameraConfig;
  readonly format: FrameFormat;
  readonly frames: 'newest' | 'every';
  readonly pictures?: PictureOptions | undefined;
  readonly queue: FrameQueue;
  readonly ring: PictureRing;
  readonly ffmpeg: Ffmpeg;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A frame was made from a picture of this size. */
  readonly onFrame: (source: PictureSize, fps: number | undefined) => void;
  /** An ffmpeg came or went. */
  readonly onProcess: (pid: number, running: boolean) => void;
}

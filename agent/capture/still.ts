/**
 * One picture as a frame, without ffmpeg: it holds encoded pictures back for one or two more before it shows them.
 *
 *   JPEG, PNG, ... or rgb24 --sharp: decode, turn upright, fit--> planes in a slot of the queue
 */
import sharp, { type Sharp } from '#agent/core/sharp.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { type FrameFormat, type PictureSize, fitGeometry, fittedSize } from '#agent/domain/frame.ts';
import type { Slot } from './frame-queue.ts';
import type { Sink } from './sink.ts';

const maxPixels = 64_000_000;
/** Formats that are pictures and nothing else; SVG, for one, can name other files. */
const formats = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif']);

export type Still =
  | { readonly encoded: Buffer }
  /** rgb24 */
  | { readonly rgb: Buffer; readonly size: PictureSize };

/**
 * Puts one picture into the camera's queue; waits for room where nothing may be dropped.
 * @throws OutpostError `picture-unreadable`, `picture-too-large`; the signal's reason
 */
export async function deliverStill(
  still: Still,
  sink: Sink,
  fps: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { clock, queue, format } = sink;
  const capturedAt = { wallMs: clock.wallMs(), monoMs: clock.monoMs() };
  const opened = await open(still);
  const slot = await freeSlot(sink, signal);
  if (!slot) return queue.lose();
  let delivered = false;
  try {
    const rgb = await scaled(opened, fittedSize(opened.size, format));
    await keepPicture(still, opened, sink);
    toPlanes(rgb, opened.size, format, slot);
    queue.deliver(slot, capturedAt, opened.size);
    delivered = true;
  } finally {
    if (!delivered) queue.release(slot);
  }
  sink.onFrame(opened.size, fps);
}

/**
 * The same picture once more, as rgb24 of this size.
 * @throws OutpostError for the same pictures as `deliverStill`
 */
export async function stillPixels(encoded: Buffer, size: PictureSize): Promise<Buffer> {
  return await scaled(await open({ encoded }), size);
}

interface Opened {
  readonly picture: () => Sharp;
  /** Upright. */
  readonly size: PictureSize;
  /** It can be stored as it is. */
  readonly plainJpeg: boolean;
}

async function open(still: Still): Promise<Opened> {
  if ('rgb' in still) {
    const { size, rgb } = still;
    return { picture: () => sharp(rgb, { raw: { ...size, channels: 3 } }), size, plainJpeg: false };
  }
  const { encoded } = still;
  try {
    const { format, autoOrient, orientation } = await sharp(encoded, { limitInputPixels: false }).metadata();
    if (!formats.has(format))
      throw new OutpostError('picture-unreadable', `The picture is ${format}, which is not read.`);
    const size = { width: autoOrient.width, height: autoOrient.height };
    if (size.width * size.height > maxPixels) {
      throw new OutpostError('picture-too-large', `The picture has ${size.width} x ${size.height} pixels.`);
    }
    const picture = (): Sharp =>
      sharp(encoded, { limitInputPixels: maxPixels, failOn: 'truncated' }).autoOrient().flatten({ background: '#000' });
    return { picture, size, plainJpeg: format === 'jpeg' && (orientation ?? 1) === 1 };
  } catch (cause) {
    throw unreadable(cause);
  }
}

async function scaled({ picture }: Opened, { width, height }: PictureSize): Promise<Buffer> {
  try {
    const fitted = picture().toColourspace('srgb').resize(width, height, { fit: 'fill', kernel: 'linear' });
    return await fitted.removeAlpha().raw().toBuffer();
  } catch (cause) {
    throw unreadable(cause);
  }
}

const unreadable = (cause: unknown): OutpostError =>
  cause instanceof OutpostError
    ? cause
    : new OutpostError('picture-unreadable', `The picture cannot be decoded: ${messageOf(cause).split('\n')[0]}.`, {
        cause,
      });

async function freeSlot({ queue, frames }: Sink, signal: AbortSignal): Promise<Slot | undefined> {
  for (;;) {
    signal.throwIfAborted();
    const slot = queue.slot();
    if (slot ?? frames === 'newest') return slot;
    await new Promise<void>((resolve) => {
      queue.onceFree(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

async function keepPicture(still: Still, { picture, size, plainJpeg }: Opened, sink: Sink): Promise<void> {
  const { pictures, queue, ring } = sink;
  const frame = queue.decoded;
  if (!pictures || frame % pictures.everyFrames !== 0) return;
  if ('encoded' in still && plainJpeg && size.width <= pictures.maxWidth) {
    ring.push({ frame, jpeg: still.encoded, size });
    return;
  }
  const shrunk = picture().resize({ width: pictures.maxWidth, withoutEnlargement: true });
  const { data, info } = await shrunk.jpeg({ quality: 90 }).toBuffer({ resolveWithObject: true });
  ring.push({ frame, jpeg: data, size: { width: info.width, height: info.height } });
}

/** Interleaved RGB of the content -> padded planes. */
function toPlanes(rgb: Buffer, source: PictureSize, format: FrameFormat, slot: Slot): void {
  const { offsetX, offsetY } = fitGeometry(source, format);
  const { width, height } = fittedSize(source, format);
  const plane = format.width * format.height;
  slot.fill(format.padding);
  for (const [target, channel] of (format.pixels === 'bgr-planar' ? [2, 1, 0] : [0, 1, 2]).entries()) {
    for (let y = 0; y < height; y += 1) {
      let from = y * width * 3 + channel;
      const start = target * plane + (offsetY + y) * format.width + offsetX;
      for (let x = 0; x < width; x += 1, from += 3) slot[start + x] = rgb[from] ?? 0;
    }
  }
}

/**
 * An encoded picture as a model takes it.
 *
 *   JPEG or PNG --sharp: decode, turn upright, fit--> interleaved RGB --> planes with padding (FrameFormat)
 */
import sharp from '#agent/core/sharp.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { type FrameFormat, type PictureSize, fitGeometry, fittedSize } from '#agent/domain/frame.ts';

/** Pixels of the largest picture that is decoded; 64 million are 192 MB. */
export const maxPicturePixels = 64_000_000;

export interface Planes {
  /** 3 x height x width bytes, as `format` says. */
  readonly bytes: Uint8Array;
  /** Size of the upright picture before it was fitted. */
  readonly source: PictureSize;
}

/**
 * @param encoded JPEG, PNG or WebP
 * @throws OutpostError `picture-unreadable`, `picture-too-large`
 */
export async function pictureToPlanes(encoded: Uint8Array, format: FrameFormat): Promise<Planes> {
  const source = await uprightSize(encoded);
  const size = fittedSize(source, format);
  try {
    const rgb = await sharp(encoded, { limitInputPixels: maxPicturePixels, failOn: 'error' })
      .autoOrient()
      .flatten({ background: '#000' })
      .toColourspace('srgb')
      .resize(size.width, size.height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
      .removeAlpha()
      .raw()
      .toBuffer();
    return { bytes: toPlanes(rgb, size, source, format), source };
  } catch (cause) {
    throw unreadable(cause);
  }
}

async function uprightSize(encoded: Uint8Array): Promise<PictureSize> {
  if (encoded.length === 0) throw new OutpostError('picture-unreadable', 'The picture is empty.');
  let size: PictureSize;
  try {
    const { autoOrient } = await sharp(encoded, { limitInputPixels: false }).metadata();
    size = { width: autoOrient.width, height: autoOrient.height };
  } catch (cause) {
    throw unreadable(cause);
  }
  if (!(size.width > 0 && size.height > 0)) {
    throw new OutpostError('picture-unreadable', `The picture has ${size.width} x ${size.height} pixels.`);
  }
  if (size.width * size.height > maxPicturePixels) {
    throw new OutpostError(
      'picture-too-large',
      `The picture has ${size.width} x ${size.height} pixels; the limit is ${maxPicturePixels}.`,
    );
  }
  return size;
}

const unreadable = (cause: unknown): OutpostError =>
  new OutpostError('picture-unreadable', `The picture cannot be decoded: ${messageOf(cause)}.`, { cause });

/** Interleaved RGB of the content -> padded planes. */
function toPlanes(rgb: Buffer, size: PictureSize, source: PictureSize, format: FrameFormat): Uint8Array {
  const { offsetX, offsetY } = fitGeometry(source, format);
  const plane = format.width * format.height;
  const bytes = new Uint8Array(3 * plane).fill(format.padding);
  const order = format.pixels === 'bgr-planar' ? [2, 1, 0] : [0, 1, 2];
  for (const [target, channel] of order.entries()) {
    for (let y = 0; y < size.height; y += 1) {
      let from = y * size.width * 3 + channel;
      const start = target * plane + (offsetY + y) * format.width + offsetX;
      for (let x = 0; x < size.width; x += 1, from += 3) bytes[start + x] = rgb[from] ?? 0;
    }
  }
  return bytes;
}

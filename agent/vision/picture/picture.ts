/**
 * A stored picture: what must not be seen is hidden first, then the annotation is drawn, then it becomes a JPEG.
 *
 *   jpeg --sharp--> rgb24 --pixelate--> --annotate--> --sharp--> jpeg without metadata
 */
import sharp from '#agent/core/sharp.ts';
import type { Box } from '#agent/domain/box.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import type { Raster } from '#agent/core/raster.ts';
import type { Annotation } from '../protocol.ts';
import { maxPicturePixels } from '../letterbox.ts';
import { annotate } from './annotate.ts';
import { type Hidden, pixelate } from './pixelate.ts';

export interface PictureRequest {
  /** JPEG, or any still format that sharp reads; boxes belong to it as it is seen, orientation tags applied. */
  readonly jpeg: Uint8Array;
  readonly hide: Hidden;
  readonly annotation: Annotation;
  /** 1..100 */
  readonly quality: number;
  /** Wider pictures are scaled down. */
  readonly maxWidth: number;
}

/** @throws OutpostError picture-unreadable for what is no picture, is cut short, is empty or too large */
export async function makePicture({ jpeg, hide, annotation, quality, maxWidth }: PictureRequest): Promise<Buffer> {
  const raster = await decode(jpeg, maxWidth);
  pixelate(raster, hide);
  annotate(raster, annotation);
  const { width, height } = raster;
  return await sharp(raster.rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer();
}

async function decode(jpeg: Uint8Array, maxWidth: number): Promise<Raster> {
  if (jpeg.byteLength === 0) throw new OutpostError('picture-unreadable', 'The picture is empty.');
  try {
    const { data, info } = await sharp(jpeg, { limitInputPixels: maxPicturePixels, failOn: 'truncated' })
      .autoOrient()
      .resize({ width: maxWidth, withoutEnlargement: true })
      .flatten({ background: { r: 0, g: 0, b: 0 } })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels`);
    return { width: info.width, height: info.height, rgb: data };
  } catch (error) {
    throw new OutpostError('picture-unreadable', `The picture cannot be decoded: ${messageOf(error)}`, {
      context: { bytes: jpeg.byteLength },
      cause: error,
    });
  }
}

/** Boxes of everything in a picture that may be a person, at a low threshold. */
export type FindPeople = (jpeg: Uint8Array) => Promise<readonly Box[]>;

/** Why a picture was hidden as a whole; told once, so that health can say so. */
export type OnBlind = (error: unknown) => void;

/**
 * What to hide in a picture: the people that are tracked, and those that a fresh look at this very picture finds.
 * Where that look fails it is not known who is there, and everything is hidden.
 */
export async function whatToHide(
  jpeg: Uint8Array,
  tracked: readonly Box[],
  findPeople: FindPeople,
  onBlind: OnBlind,
): Promise<Hidden> {
  try {
    return [...tracked, ...(await findPeople(jpeg))];
  } catch (error) {
    onBlind(error);
    return 'everything';
  }
}

export interface RedactRequest extends Omit<PictureRequest, 'hide'> {
  /** Boxes of the people that the tracker knows in this picture. */
  readonly tracked: readonly Box[];
  readonly findPeople: FindPeople;
  readonly onBlind: OnBlind;
}

/** `makePicture` of what `whatToHide` says: the only way a camera's picture is made fit to be stored. */
export async function redactPicture({ tracked, findPeople, onBlind, ...request }: RedactRequest): Promise<Buffer> {
  const hide = await whatToHide(request.jpeg, tracked, findPeople, onBlind);
  return await makePicture({ ...request, hide });
}

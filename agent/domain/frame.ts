/** One decoded picture, borrowed from a pool: whoever holds it disposes it. */

export interface CaptureTime {
  /** Milliseconds since 1970 when the first byte of the frame arrived here. */
  readonly wallMs: number;
  /** The same moment on CLOCK_MONOTONIC, in milliseconds. */
  readonly monoMs: number;
}

/** Size of a picture in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Three planes one after the other, one byte a value. */
export type PixelFormat = 'bgr-planar' | 'rgb-planar';

/** How the source picture was fitted into the model's input. */
export type Fit =
  /** scaled to fit, content at the upper left, padding at right and bottom */
  | 'letterbox-top-left'
  /** scaled to fit, content in the middle */
  | 'letterbox-centre'
  /** both axes scaled to fill */
  | 'stretch';

/** The raw picture that a model takes: what capture asks ffmpeg for. */
export interface FrameFormat {
  readonly width: number;
  readonly height: number;
  readonly pixels: PixelFormat;
  readonly fit: Fit;
  /** 0..255, the grey of the padding. */
  readonly padding: number;
}

export interface Frame extends Disposable {
  /** Camera id. */
  readonly camera: string;
  /** From 0, counted at the decoder: dropped frames have numbers too. */
  readonly number: number;
  readonly capturedAt: CaptureTime;
  readonly format: FrameFormat;
  /** Size of the camera's own picture, before it was fitted. */
  readonly source: PictureSize;
  /** 3 x height x width bytes, valid until disposed. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where the source picture lies inside the fitted one: scale (input pixels a source pixel) and offset (input pixels). */
export interface FitGeometry {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

/** Fits as ffmpeg's and OpenCV's letterboxes do: one ratio, sizes rounded to whole pixels, at least one. */
export function fitGeometry(source: PictureSize, format: FrameFormat): FitGeometry {
  if (format.fit === 'stretch') {
    return { scaleX: format.width / source.width, scaleY: format.height / source.height, offsetX: 0, offsetY: 0 };
  }
  const content = fittedSize(source, format);
  const centred = format.fit === 'letterbox-centre';
  return {
    scaleX: content.width / source.width,
    scaleY: content.height / source.height,
    offsetX: centred ? Math.floor((format.width - content.width) / 2) : 0,
    offsetY: centred ? Math.floor((format.height - content.height) / 2) : 0,
  };
}

/** Size of the content inside the fitted picture. */
export function fittedSize(source: PictureSize, format: FrameFormat): PictureSize {
  if (format.fit === 'stretch') return { width: format.width, height: format.height };
  const ratio = Math.min(format.width / source.width, format.height / source.height);
  return {
    width: Math.max(1, Math.min(format.width, Math.round(source.width * ratio))),
    height: Math.max(1, Math.min(format.height, Math.round(source.height * ratio))),
  };
}

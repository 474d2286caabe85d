/**
 * The frames that a replay saw, once more and in colour: the same source, the same decoder, the same frames left out.
 *
 *   file --ffmpeg--> \
 *   folder --sharp--> rgb24 of one size, frame n as the replay's frame n
 *   sim street -----> /
 */
import type { Ffmpeg } from '#agent/capture/ffmpeg.ts';
import { folderPixels } from '#agent/capture/folder.ts';
import { resolveSource } from '#agent/capture/source.ts';
import { openStreet } from '#agent/capture/street/street.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import type { CameraConfig } from '#config/schema.ts';
import { openDecoder } from './render-ffmpeg.ts';

export interface SourceRequest {
  /** The camera that was replayed. */
  readonly camera: Pick<CameraConfig, 'url' | 'kind' | 'maxFps'>;
  /** Frames of another size are scaled to this one. */
  readonly size: PictureSize;
  readonly ffmpeg: Ffmpeg;
}

/** @throws OutpostError source-unsupported for what is live; those of `resolveSource` and of the decoder */
export async function* sourceFrames({ camera, size, ffmpeg }: SourceRequest): AsyncGenerator<Buffer> {
  const source = await resolveSource(camera);
  switch (source.kind) {
    case 'file': {
      await using decoder = openDecoder({ ffmpeg, path: source.path, size, maxFps: camera.maxFps });
      yield* decoder.frames();
      return;
    }
    case 'folder':
      yield* folderPixels(source.path, size);
      return;
    case 'simulation': {
      const street = openStreet(source.url);
      for (let n = 0; n < street.frames; n++) yield await street.frame(n);
      return;
    }
    case 'rtsp':
    case 'http':
      throw new OutpostError('source-unsupported', 'A live source cannot be rendered: its frames are gone.', {
        hint: 'Record it to a file first, then replay the file.',
      });
  }
}

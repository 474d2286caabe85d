/** A folder of pictures, in the order in which people number files; what cannot be read is left out, counted and logged once. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { PictureSize } from '#agent/domain/frame.ts';
import { Pace } from './pace.ts';
import type { Sink } from './sink.ts';
import { deliverStill, stillPixels } from './still.ts';

const extensions = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);
const maxFileBytes = 64 * 1024 * 1024;
const naturally = new Intl.Collator('en', { numeric: true });

/** File names of a folder's pictures, `2.jpg` before `10.jpg`. */
export async function listPictures(path: string): Promise<string[]> {
  const names = await readdir(path);
  return names.filter((name) => extensions.has(extname(name).toLowerCase())).sort(naturally.compare);
}

/**
 * Once through the folder.
 * @param skipped names that were complained of already; grows
 * @throws OutpostError `source-unreadable` when none of it could be read
 */
export async function playFolder(path: string, skipped: Set<string>, sink: Sink, signal: AbortSignal): Promise<void> {
  const { camera, frames, clock } = sink;
  const paced = frames === 'newest' && camera.pace === 'real-time';
  const pace = new Pace(clock, paced ? camera.snapshotInterval : 0);
  const fps = paced ? 1_000 / camera.snapshotInterval : undefined;
  const first = sink.queue.decoded;
  for (const name of await listPictures(path)) {
    await pace.next(signal);
    try {
      await deliverStill({ encoded: await readPicture(join(path, name)) }, sink, fps, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toOutpostError(thrown);
      if (!skipped.has(name)) sink.log.warn('A picture of the folder is left out.', { name, error });
      skipped.add(name);
    }
  }
  if (sink.queue.decoded > first) return;
  throw new OutpostError('source-unreadable', `${path} holds no picture that can be read.`);
}

/** The frames of `playFolder` once more, as rgb24 of this size: what it left out is left out here. */
export async function* folderPixels(path: string, size: PictureSize): AsyncGenerator<Buffer> {
  for (const name of await listPictures(path)) {
    const rgb = await readPicture(join(path, name))
      .then(async (encoded) => await stillPixels(encoded, size))
      .catch(() => undefined);
    if (rgb) yield rgb;
  }
}

async function readPicture(path: string): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > maxFileBytes) throw new OutpostError('picture-too-large', `The picture has ${size} bytes.`);
  if (size === 0) throw new OutpostError('picture-unreadable', 'The picture is empty.');
  return await readFile(path);
}

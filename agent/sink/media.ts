/**
 * Media that is whole leaves the database for a folder or a server, once its bytes are what the device promised.
 *
 *   chunks, committed like events --> all there --> sha256 --> FOLDER/device/id-sha.jpg, or PUT URL/device/id-sha.jpg
 *
 * Any sink does it, for any chunk; twice does no harm, since the name says the content.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import { type Random, systemRandom } from '#agent/core/random.ts';
import type { SinkDatabase, WholeMedia } from './database.ts';

/** @returns where it lies, for the table. @throws OutpostError `sink-media` */
export type MediaPlace = (media: WholeMedia) => Promise<string>;

const extensions: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/webp': 'webp',
  'video/mp4': 'mp4',
  'audio/ogg': 'ogg',
};
const putMs = 60_000;
const backoffMs = { minMs: 500, maxMs: 60_000 };
/** Another sink may have committed the last chunk and died. */
const lookMs = 30_000;

const nameOf = ({ id, sha256, mediaType }: WholeMedia): string =>
  `${id}-${sha256.slice(0, 12)}.${extensions[mediaType] ?? 'bin'}`;

/** A file is whole or not there: written beside, flushed, renamed. */
export const folderPlace =
  (folder: string): MediaPlace =>
  async (media) => {
    const path = join(folder, media.device, nameOf(media));
    try {
      await mkdir(join(folder, media.device), { recursive: true, mode: 0o750 });
      const part = `${path}.${Math.floor(systemRandom() * 1e9)}.part`;
      const file = await open(part, 'wx', 0o640);
      try {
        await file.writeFile(media.content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, path);
      const directory = await open(join(folder, media.device));
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
      return path;
    } catch (thrown) {
      throw new OutpostError('sink-media', messageOf(thrown), { context: { path }, cause: thrown });
    }
  };

/** PUT, as object stores take it. @param token sent as a bearer token */
export const httpPlace =
  (url: string, token: string | undefined): MediaPlace =>
  async (media) => {
    const target = `${url.replace(/\/$/, '')}/${media.device}/${nameOf(media)}`;
    try {
      const { ok, status } = await fetch(target, {
        method: 'PUT',
        body: new Uint8Array(media.content),
        headers: {
          'content-type': media.mediaType,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        redirect: 'error',
        signal: AbortSignal.timeout(putMs),
      });
      if (!ok) throw new Error(`the server answers ${status}`);
      return target;
    } catch (thrown) {
      throw new OutpostError('sink-media', messageOf(thrown), { context: { target }, cause: thrown });
    }
  };

export interface MediaStoreOptions {
  readonly database: SinkDatabase;
  readonly place: MediaPlace;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class MediaStore {
  readonly #options: MediaStoreOptions;
  #look = new AbortController();

  constructor(options: MediaStoreOptions) {
    this.#options = options;
  }

  /** Chunks were committed. */
  ring(): void {
    this.#look.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#options;
    const backoff = new Backoff(backoffMs, random);
    while (!signal.aborted) {
      this.#look = new AbortController();
      try {
        while (!signal.aborted && (await this.#storeOne())) backoff.reset();
        await clock.sleep(lookMs, AbortSignal.any([signal, this.#look.signal])).catch(() => undefined);
      } catch (thrown) {
        if (backoff.failures === 0)
          log.warn('Media stays in the database; it is tried again.', { error: toOutpostError(thrown) });
        await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
      }
    }
  }

  async #storeOne(): Promise<boolean> {
    const { database, place, log } = this.#options;
    const media = await database.wholeMedia();
    if (!media) return false;
    const { device, id, content, sha256, size } = media;
    const found = createHash('sha256').update(content).digest('hex');
    if (found === sha256 && content.length === size) await database.settleMedia(media, 'stored', await place(media));
    else {
      log.error('Media is not what the device promised; its chunks are kept.', { device, id, sha256, found });
      await database.settleMedia(media, 'damaged', '');
    }
    return true;
  }
}

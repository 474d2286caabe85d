/**
 * One file over https, known beforehand by its sha256: resumed after a break, checked while it streams, placed whole.
 *
 *   GET (Range: what is missing) --> bounded, hashed, written to a .part --> fsync, rename
 */
import { type Hash, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Backoff } from '#agent/core/backoff.ts';
import { type Clock, systemClock } from '#agent/core/clock.ts';
import { OutpostError, messageOf } from '#agent/core/errors.ts';
import { type Random, systemRandom } from '#agent/core/random.ts';
import { request } from './request.ts';
import { claimPart, completePart, dropPart, releasePart, writing } from './part.ts';
import type { Progress } from './progress.ts';

export interface DownloadRequest {
  readonly url: string;
  /** Path of the whole file. */
  readonly target: string;
  readonly sha256: string;
  /** Length of the whole file, when it is known. */
  readonly bytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Of a file whose length nobody knows. */
const maxUnknownBytes = 1024 ** 3;
const maxTries = 4;
/** A server that says nothing for this long is gone. */
const silenceMs = 30_000;

/** @throws OutpostError `download-…`, `models-unwritable` */
export async function download(wanted: DownloadRequest): Promise<void> {
  const clock = wanted.clock ?? systemClock;
  const backoff = new Backoff({ minMs: 200, maxMs: 4_000 }, wanted.random ?? systemRandom);
  const part = await claimPart(wanted.target);
  try {
    for (let tries = 1; ; tries += 1) {
      try {
        await fetchRest(part, wanted, clock);
        break;
      } catch (thrown) {
        if (wanted.signal?.aborted) throw new OutpostError('download-stopped', undefined, { cause: thrown });
        const isBroken = thrown instanceof OutpostError && thrown.code === 'download-broken';
        if (!isBroken || tries === maxTries) throw thrown;
        await clock.sleep(backoff.nextMs(), wanted.signal).catch(() => undefined);
      }
    }
    await completePart(part, wanted.target);
  } catch (thrown) {
    const isUseless = thrown instanceof OutpostError && thrown.code === 'download-mismatch';
    await (isUseless ? dropPart(part) : releasePart(part, wanted.target));
    throw thrown;
  }
}

/** Bytes that are here, and their hash so far. */
class Growing {
  readonly #file: FileHandle;
  #hash: Hash;
  #bytes: number;

  private constructor(file: FileHandle, hash: Hash, bytes: number) {
    this.#file = file;
    this.#hash = hash;
    this.#bytes = bytes;
  }

  static async open(file: FileHandle, path: string): Promise<Growing> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return new Growing(file, hash, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length;) {
      const { bytesWritten } = await this.#file.write(chunk, offset, chunk.length - offset, this.#bytes + offset);
      offset += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  async startAgain(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash('sha256');
    this.#bytes = 0;
  }

  sha256(): string {
    return this.#hash.copy().digest('hex');
  }
}

async function fetchRest(part: string, wanted: DownloadRequest, clock: Clock): Promise<void> {
  const { target, bytes: expected, sha256, url } = wanted;
  await using file = await writing(
    target,
    async () =>
      await open(part, 'a').then(async (made) => {
        await made.close();
        return await open(part, 'r+');
      }),
  );
  const growing = await writing(target, async () => await Growing.open(file, part));
  if (growing.bytes > (expected ?? maxUnknownBytes)) await growing.startAgain();
  const resumedAt = growing.bytes;
  if (expected === undefined || growing.bytes < expected) await receive(growing, wanted, clock);

  if (expected !== undefined && growing.bytes < expected) {
    throw new OutpostError('download-broken', `The download ended after ${growing.bytes} of ${expected} bytes.`);
  }
  if (growing.sha256() !== sha256) {
    const found = growing.sha256();
    if (resumedAt > 0) {
      // The first part is of another file, or was damaged on the disk.
      await growing.startAgain();
      throw new OutpostError('download-broken', 'What was here before does not fit what came now.');
    }
    throw new OutpostError('download-mismatch', `${url} has sha256 ${found}; expected is ${sha256}.`);
  }
  await writing(target, async () => await file.sync());
}

async function receive(growing: Growing, wanted: DownloadRequest, clock: Clock): Promise<void> {
  const silence = new AbortController();
  const signals = [silence.signal, ...(wanted.signal ? [wanted.signal] : [])];
  const signal = AbortSignal.any(signals);
  let heardAt = clock.monoMs();
  const finished = new AbortController();
  const watch = watchSilence(clock, () => heardAt, silence, finished.signal);
  try {
    const response = await request(wanted.url, growing.bytes, signal);
    heardAt = clock.monoMs();
    const total = await placeOf(response, growing, wanted);
    for await (const chunk of bodyOf(response)) {
      heardAt = clock.monoMs();
      if (growing.bytes + chunk.length > (wanted.bytes ?? maxUnknownBytes)) {
        throw new OutpostError(
          'download-mismatch',
          `${wanted.url} sends more than ${wanted.bytes ?? maxUnknownBytes} bytes.`,
        );
      }
      await writing(wanted.target, async () => await growing.append(chunk));
      wanted.onProgress?.({ receivedBytes: growing.bytes, totalBytes: total });
    }
    if (total !== undefined && growing.bytes < total) {
      throw new OutpostError('download-broken', `The download ended after ${growing.bytes} of ${total} bytes.`);
    }
  } finally {
    finished.abort();
    await watch;
  }
}

async function watchSilence(
  clock: Clock,
  heardAt: () => number,
  silence: AbortController,
  finished: AbortSignal,
): Promise<void> {
  while (!finished.aborted) {
    const left = heardAt() + silenceMs - clock.monoMs();
    if (left <= 0) {
      silence.abort(new OutpostError('download-broken', `The server said nothing for ${silenceMs / 1000} s.`));
      return;
    }
    await clock.sleep(left, finished).catch(() => undefined);
  }
}

/** Chunks of the body; a connection that breaks is `download-broken`. */
async function* bodyOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      let read: Awaited<ReturnType<typeof reader.read>>;
      try {
        read = await reader.read();
      } catch (cause) {
        if (cause instanceof OutpostError) throw cause;
        throw new OutpostError('download-broken', `The connection broke: ${messageOf(cause)}`, { cause });
      }
      if (read.done) return;
      yield read.value as Uint8Array;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * Whether the answer goes on where the file ends, or starts it again.
 * @returns length of the whole file as the server says it
 */
async function placeOf(response: Response, growing: Growing, wanted: DownloadRequest): Promise<number | undefined> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  let total: number | undefined;
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    if (!range || Number(range[1]) !== growing.bytes) {
      await response.body?.cancel();
      await growing.startAgain();
      throw new OutpostError('download-broken', 'The server did not go on where the download stopped.');
    }
    total = range[2] === '*' ? undefined : Number(range[2]);
  } else if (response.status === 416) {
    await response.body?.cancel();
    await growing.startAgain();
    throw new OutpostError('download-broken', 'The server has no more than what is here already.');
  } else {
    await growing.startAgain();
    total = Number.isFinite(length) ? length : undefined;
  }
  if (total === undefined || wanted.bytes === undefined || total === wanted.bytes) return total ?? wanted.bytes;
  await response.body?.cancel();
  throw new OutpostError('download-mismatch', `${wanted.url} has ${total} bytes; expected are ${wanted.bytes}.`);
}

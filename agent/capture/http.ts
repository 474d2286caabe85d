/**
 * Cameras behind HTTP: a picture that is asked for again and again, or a stream without end.
 *
 *   first answer --its type--> image/*: snapshots | multipart/*: JPEG after JPEG | video: ffmpeg's stdin
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { Mailbox } from '#agent/core/mailbox.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import { redactIn } from '#agent/core/redact-url.ts';
import type { Source } from './source.ts';
import { type HttpAnswer, type HttpRequest, askCamera, readBody } from './http-camera.ts';
import { type Jpeg, JpegSplitter } from './jpeg-splitter.ts';
import { Pace } from './pace.ts';
import type { Sink } from './sink.ts';
import { deliverStill } from './still.ts';
import { playVideo } from './video.ts';
import { pipedInput } from './video-input.ts';
import { Watchdog } from './watchdog.ts';

const maxPictureBytes = 32 * 1024 * 1024;

type HttpSource = Extract<Source, { kind: 'http' }>;

/** @throws OutpostError `source-…`, `picture-…`; never returns but when aborted */
export async function playHttp({ url, answers }: HttpSource, sink: Sink, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const request = { url, clock: sink.clock, limitMs: sink.camera.stallAfter };
  try {
    const answer = await askCamera(request, stop);
    const kind = answers === 'auto' ? kindOf(answer.mediaType) : answers;
    if (kind === 'snapshot') await playSnapshots(request, answer, sink, stop);
    else if (answer.mediaType.startsWith('multipart/')) await playPictures(answer, sink, stop);
    else await playStream(url, answer, sink, stop);
  } finally {
    // An answer that was not read to its end keeps its socket.
    over.abort();
  }
}

function kindOf(mediaType: string): 'snapshot' | 'stream' {
  if (mediaType.startsWith('image/')) return 'snapshot';
  if (mediaType.startsWith('multipart/') || mediaType.startsWith('video/')) return 'stream';
  if (mediaType === 'application/octet-stream' || mediaType === '') return 'stream';
  const playlist = /mpegurl|dash\+xml/.test(mediaType);
  throw new OutpostError(
    playlist ? 'source-unsupported' : 'source-unreadable',
    `The camera answers with ${mediaType}, which is neither a picture nor a video stream.`,
  );
}

/** One bad answer is no reason to call the camera down, unless no good one comes for too long. */
async function playSnapshots(request: HttpRequest, first: HttpAnswer, sink: Sink, signal: AbortSignal): Promise<void> {
  const { camera, clock } = sink;
  const pace = new Pace(clock, camera.snapshotInterval);
  const fps = 1_000 / camera.snapshotInterval;
  const start = sink.queue.decoded;
  let goodAt = clock.monoMs();
  for (let answer: HttpAnswer | undefined = first; ; answer = undefined) {
    await pace.next(signal);
    try {
      const body = await readBody(answer ?? (await askCamera(request, signal)), maxPictureBytes, request, signal);
      await deliverStill({ encoded: body }, sink, fps, signal);
      goodAt = clock.monoMs();
    } catch (thrown) {
      signal.throwIfAborted();
      const patience = camera.stallAfter + camera.snapshotInterval;
      if (sink.queue.decoded === start || clock.monoMs() - goodAt > patience) throw thrown;
      sink.log.debug('A snapshot is left out.', { error: toOutpostError(thrown) });
    }
  }
}

/** multipart/x-mixed-replace: the newest picture wins, or each is waited for. */
async function playPictures(answer: HttpAnswer, sink: Sink, signal: AbortSignal): Promise<void> {
  const watchdog = new Watchdog(sink.clock, sink.camera.stallAfter);
  using newest = new Mailbox<Jpeg>({ capacity: 1, overflow: 'drop-oldest', onDrop: () => sink.queue.lose() });
  const every = sink.frames === 'every';
  const show = async (jpeg: Jpeg): Promise<void> => {
    try {
      await deliverStill({ encoded: jpeg.bytes }, sink, undefined, signal);
      watchdog.feed();
    } catch (thrown) {
      signal.throwIfAborted();
      sink.log.debug('A picture of the stream is left out.', { error: toOutpostError(thrown) });
    }
  };
  const read = async (): Promise<void> => {
    const splitter = new JpegSplitter(maxPictureBytes);
    for await (const chunk of answer.body) {
      for (const jpeg of splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))) {
        if (every) await show(jpeg);
        else newest.offer(jpeg);
      }
    }
    throw new OutpostError('source-ended', 'The camera ended its stream.');
  };
  const draw = async (): Promise<void> => {
    for (let item = await newest.next(signal); !item.done; item = await newest.next(signal)) await show(item.value);
  };
  await Promise.race([read(), draw(), watchdog.watch(signal)]);
}

async function playStream(url: string, answer: HttpAnswer, sink: Sink, signal: AbortSignal): Promise<void> {
  const feed = async (stdin: Writable, stop: AbortSignal): Promise<void> => {
    for await (const chunk of answer.body) {
      if (stop.aborted) return;
      if (!stdin.write(chunk)) await once(stdin, 'drain', { signal: stop }).catch(() => undefined);
    }
  };
  const problem = await playVideo({ input: pipedInput, feed, redact: (text) => redactIn(text, url) }, sink, signal);
  if (!signal.aborted) throw problem ?? new OutpostError('source-ended', 'The camera ended its stream.');
}

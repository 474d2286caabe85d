/**
 * The demo's sample clip: pulled once like a model, kept in the cache, checked each time.
 *
 *   cache, sha256 right? --> https, resumable, sha256 --> path; undefined where it cannot be had
 */
import { dirname, join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Progress } from '#models/pull/progress.ts';

export interface Sample {
  readonly file: string;
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** People walking, 768 x 576, 10 frames/s, 80 s (OpenCV's samples). */
export const sample: Sample = {
  file: 'vtest.avi',
  url: 'https://raw.githubusercontent.com/opencv/opencv/4.6.0/samples/data/vtest.avi',
  sha256: '45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf',
  bytes: 8_131_690,
};

export interface SampleRequest {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Why it could not be had. */
  readonly onRefusal?: (error: OutpostError) => void;
  /** Default: `samples` beside the cache of models. */
  readonly cacheDir?: string;
  readonly clock?: Clock;
  readonly wanted?: Sample;
}

/** Without a first byte for this long it counts as out of reach: a demo must not wait on a network that swallows. */
const reachMs = 5000;

/** @returns the clip's path, or undefined where it cannot be had  @throws the signal's reason, and bugs */
export async function sampleClip(request: SampleRequest): Promise<string | undefined> {
  const { wanted = sample } = request;
  const [{ hashFile }, { defaultCacheDir }] = await Promise.all([
    import('#models/weights.ts'),
    import('#models/cache.ts'),
  ]);
  const target = join(request.cacheDir ?? join(dirname(defaultCacheDir()), 'samples'), wanted.file);
  const here = await hashFile(target).catch(() => undefined);
  if (here?.sha256 === wanted.sha256) return target;
  try {
    await fetchSample(wanted, target, request);
    return target;
  } catch (thrown) {
    request.signal.throwIfAborted();
    if (!(thrown instanceof OutpostError) || thrown.kind === 'bug') throw thrown;
    request.onRefusal?.(thrown);
    return undefined;
  }
}

async function fetchSample(
  wanted: Sample,
  target: string,
  { signal, onProgress, clock }: SampleRequest,
): Promise<void> {
  const [{ download }, { systemClock }] = await Promise.all([
    import('#models/pull/download.ts'),
    import('#agent/core/clock.ts'),
  ]);
  const outOfReach = new AbortController();
  const reached = new AbortController();
  const waiting = (clock ?? systemClock).sleep(reachMs, reached.signal).then(
    () => outOfReach.abort(),
    () => undefined,
  );
  try {
    await download({
      ...wanted,
      target,
      signal: AbortSignal.any([signal, outOfReach.signal]),
      onProgress: (progress) => {
        reached.abort();
        onProgress?.(progress);
      },
    });
  } finally {
    reached.abort();
    await waiting;
  }
}

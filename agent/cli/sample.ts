/** The demo's sample clip: where it comes from, and what it must be. */

export const sample = {
  file: 'vtest.avi',
  url: 'https://raw.githubusercontent.com/opencv/opencv/4.6.0/samples/data/vtest.avi',
  sha256: '45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf',
} as const;

export interface SampleRequest {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: never) => void;
}

/** @returns the clip's path, or undefined where it cannot be reached */
export async function sampleClip(_request: SampleRequest): Promise<string | undefined> {
  return await Promise.resolve(undefined);
}

/** The only source of time. Wall time is for people, monotonic time is for decisions. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since 1970 as the machine believes; may jump. */
  wallMs(): number;
  /** Milliseconds on CLOCK_MONOTONIC, with fractions; the same scale in every process of this boot. */
  monoMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {});
  },
};

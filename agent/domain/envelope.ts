/** An Event as it will be sent: encoded once, durable, in its place in a lane. */
import type { Lane } from './lane.ts';

/** `synced`: disciplined by NTP or GNSS. `unsynced`: not yet. `stepped`: it jumped since this boot. */
export type ClockQuality = 'synced' | 'unsynced' | 'stepped';

export interface Envelope {
  readonly lane: Lane;
  /** Gapless per (device, epoch, lane), from 1. */
  readonly seq: bigint;
  /** The CloudEvents JSON object, UTF-8. */
  readonly bytes: Uint8Array;
  /** Milliseconds on this boot's monotonic clock after which it may be given up; absent: never. */
  readonly expiresMonoMs?: number;
}

/**
 * Keeps smeared frames away from the detector: an error in one frame is copied into the next ones until a key frame.
 *
 *   complaint on stderr --> closed --key frame, or a while--> open
 *
 * No option of ffmpeg does this: it shows what it concealed, and only the first of the smeared frames is flagged.
 */
import type { Clock } from '#agent/core/clock.ts';

/** Streams with intra refresh have no key frames: after this long they have healed, or a smeared picture beats none. */
const longestMs = 5_000;

export class DamageGate {
  readonly #clock: Clock;
  #closedAt: number | undefined;
  /** Key frames to come that are damaged themselves. */
  #damagedKeys = 0;
  #incidents = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Times that it closed. */
  get incidents(): number {
    return this.#incidents;
  }

  /** @param inKeyFrame the frame that would have healed the picture is the damaged one */
  damage(inKeyFrame: boolean): void {
    if (this.#closedAt === undefined) this.#incidents += 1;
    this.#closedAt ??= this.#clock.monoMs();
    if (inKeyFrame) this.#damagedKeys += 1;
  }

  keyFrame(): void {
    if (this.#damagedKeys > 0) this.#damagedKeys -= 1;
    else this.#closedAt = undefined;
  }

  isOpen(): boolean {
    if (this.#closedAt === undefined) return true;
    if (this.#clock.monoMs() - this.#closedAt < longestMs) return false;
    this.#closedAt = undefined;
    this.#damagedKeys = 0;
    return true;
  }
}

/**
 * How the writer thread is woken. Waking a thread that sleeps takes about as long as a commit on a quick disk; so whoever has
 * just had work, and has had it soon each time, looks out for a moment before it sleeps.
 *
 *   message, ring ──> looking out: heard at once · asleep: woken by the kernel
 */
import { systemClock } from '#agent/core/clock.ts';

/** Rung, by adding one and waking who waits on it, after each message to the writer. */
export type Bell = Int32Array<SharedArrayBuffer>;

export const newBell = (): Bell => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

export function ring(bell: Bell): void {
  Atomics.add(bell, 0, 1);
  Atomics.notify(bell, 0);
}

/** The longest look out for the next message. */
const lookOutMs = 0.15;
/** The same while nobody else needs the processor. */
const longLookOutMs = 0.5;
/** Looks between two at the clock. */
const looksAtOnce = 64;

export class BellSleeper {
  readonly #bell: Bell;
  /** How long the next message took of late, moving average; one that took long counts as little more than too long. */
  #gapMs = Number.POSITIVE_INFINITY;

  constructor(bell: Bell) {
    this.#bell = bell;
  }

  /**
   * @param receive the next message if there is one
   * @param isLong nobody else needs the processor
   */
  next<T>(receive: () => T | undefined, isLong = false): T {
    const sinceMs = systemClock.monoMs();
    const mostMs = isLong ? longLookOutMs : lookOutMs;
    let isLookingOut = this.#gapMs < mostMs;
    for (;;) {
      const rung = Atomics.load(this.#bell, 0);
      const message = receive();
      if (message !== undefined) {
        this.#learn(systemClock.monoMs() - sinceMs);
        return message;
      }
      if (isLookingOut) isLookingOut = this.#lookOut(rung, sinceMs + mostMs);
      else Atomics.wait(this.#bell, 0, rung);
    }
  }

  /** @returns false when it was in vain */
  #lookOut(rung: number, untilMs: number): boolean {
    while (systemClock.monoMs() < untilMs) {
      for (let looks = 0; looks < looksAtOnce; looks += 1) {
        if (Atomics.load(this.#bell, 0) !== rung) return true;
      }
    }
    return false;
  }

  #learn(tookMs: number): void {
    const counted = Math.min(tookMs, 2 * longLookOutMs);
    this.#gapMs = Number.isFinite(this.#gapMs) ? this.#gapMs + (counted - this.#gapMs) / 4 : counted;
  }
}

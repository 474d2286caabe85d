/**
 * A clock for devices that live in the same process as what asks them: it does not count the time in which the machine
 * let neither of them run. On a busy machine that was longer than the time that a device has for its answer.
 */
import { type Clock, systemClock } from '#agent/core/clock.ts';

const beatMs = 5;
/** A beat that is later than this says that the process stood still. */
const standstillMs = 40;

export function fairClock(): Clock {
  let stoodMs = 0;
  let beatAt = systemClock.monoMs();
  // Due before every longer timer: what stood still is known when those are looked at.
  setInterval(() => {
    const now = systemClock.monoMs();
    const lateMs = now - beatAt - beatMs;
    if (lateMs > standstillMs) stoodMs += lateMs;
    beatAt = now;
  }, beatMs).unref();
  const monoMs = (): number => systemClock.monoMs() - stoodMs;
  return {
    wallMs: () => systemClock.wallMs(),
    monoMs,
    sleep: async (ms, signal) => {
      const endsAt = monoMs() + ms;
      for (let left = ms; ; left = endsAt - monoMs()) {
        await systemClock.sleep(Math.max(0, left), signal);
        // timers may come a fraction of a millisecond early
        if (endsAt - monoMs() < 1) return;
      }
    },
  };
}

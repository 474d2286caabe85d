/** Waits on a condition, not on time: polls until it holds, and says what it last saw when it never does. */
import { setTimeout as delay } from 'node:timers/promises';

/** @returns the first value that is neither undefined nor false */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  what: string,
  limitMs = 120_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = process.hrtime.bigint() + BigInt(limitMs) * 1_000_000n;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    if (process.hrtime.bigint() > deadline) throw new Error(`Waited ${limitMs} ms in vain for: ${what}`);
    await delay(10);
  }
}

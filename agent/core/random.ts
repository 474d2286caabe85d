/** The only source of randomness: the system's, and a seeded one for what must be repeatable. */
import { randomBytes } from 'node:crypto';

/** A uniform number in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

/** Mulberry32 (T. Ettinger, public domain description): 32 bits of state, the same sequence everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

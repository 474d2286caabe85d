/** Noise of the sensor: the same for the same seed and frame number, and cheap, as one table read from another place each frame. */
import { seededRandom } from '#agent/core/random.ts';

const tableSize = 1 << 16;
/** Bytes to either side; the sum of two uniform draws, so small values are the likelier. */
const strength = 7;

export class Grain {
  readonly #table: Int8Array;
  readonly #seed: number;

  constructor(seed: number) {
    const random = seededRandom(seed ^ 0x2545f491);
    this.#seed = seed;
    this.#table = Int8Array.from({ length: tableSize }, () => Math.round((random() + random() - 1) * strength));
  }

  /** A copy with the noise of frame n. */
  added(rgb: Uint8Array, n: number): Buffer {
    const noisy = Buffer.allocUnsafe(rgb.length);
    const random = seededRandom(Math.imul(this.#seed + 1, 0x27d4eb2f) ^ n);
    const table = this.#table;
    const run = 4096;
    for (let start = 0; start < rgb.length; start += run) {
      const shift = Math.floor(random() * (tableSize - run));
      const end = Math.min(rgb.length, start + run);
      for (let index = start; index < end; index++) {
        const value = (rgb[index] ?? 0) + (table[shift + index - start] ?? 0);
        noisy[index] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
    return noisy;
  }
}

/** A set of sequence numbers, in any order, a bit for each. */
import type { Ranges } from '#agent/domain/ranges.ts';

/** Numbers whose bits are kept together. */
const blockSize = 8_192;

export class NumberSet {
  readonly #blocks = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns false when it was there */
  add(number: number): boolean {
    const index = Math.floor(number / blockSize);
    let block = this.#blocks.get(index);
    if (!block) this.#blocks.set(index, (block = new Uint8Array(blockSize / 8)));
    const [byte, bit] = placeOf(number);
    if (((block[byte] ?? 0) & bit) !== 0) return false;
    block[byte] = (block[byte] ?? 0) | bit;
    this.#size += 1;
    return true;
  }

  has(number: number): boolean {
    const [byte, bit] = placeOf(number);
    return ((this.#blocks.get(Math.floor(number / blockSize))?.[byte] ?? 0) & bit) !== 0;
  }

  /** Numbers of this range that are not in it. */
  gaps(first: number, last: number): Ranges {
    const gaps: [number, number][] = [];
    for (let number = first; number <= last;) {
      const isEmptyBlock = !this.#blocks.has(Math.floor(number / blockSize));
      const end = isEmptyBlock ? Math.min(last, number - (number % blockSize) + blockSize - 1) : number;
      if (isEmptyBlock || !this.has(number)) {
        const gap = gaps.at(-1);
        if (gap && gap[1] === number - 1) gap[1] = end;
        else gaps.push([number, end]);
      }
      number = end + 1;
    }
    return gaps;
  }
}

const placeOf = (number: number): readonly [byte: number, bit: number] => [
  Math.floor((number % blockSize) / 8),
  1 << (number % 8),
];

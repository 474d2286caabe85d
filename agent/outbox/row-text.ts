/** Rows' texts put together in memory that is used again: head, number, middle, number, tail; one behind the other. */
import { encodedEnd, type EncodedEvent } from '#agent/domain/cloudevent.ts';

/** Of UTF-8; an encoded event as it came from the main thread. */
export interface EncodedBytes {
  readonly bytes: Buffer;
  readonly middle: number;
  readonly tail: number;
  readonly end: number;
}

const firstBytes = 64 * 1024;
/** Both numbers. */
const numberBytes = 40;

export class RowTexts {
  #memory = Buffer.allocUnsafeSlow(firstBytes);
  #end = 0;

  /** The views given until now may be written over. */
  clear(): void {
    this.#end = 0;
  }

  /** @returns a view that holds until `clear` */
  splice(head: Buffer, { bytes, middle, tail, end }: EncodedBytes, seq: number): Buffer {
    const most = head.length + numberBytes + end - middle;
    // the views of before keep the memory that they are of
    if (this.#end + most > this.#memory.length) {
      this.#memory = Buffer.allocUnsafeSlow(Math.max(firstBytes, 2 * most));
      this.#end = 0;
    }
    const memory = this.#memory;
    const number = String(seq);
    const begin = this.#end;
    let at = begin + head.copy(memory, begin);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, middle, tail);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, tail, end);
    this.#end = at;
    return memory.subarray(begin, at);
  }
}

export function encodedBytes({ middle, tail, data }: EncodedEvent): EncodedBytes {
  const bytes = Buffer.from(middle + tail + data + encodedEnd);
  return { bytes, middle: 0, tail: Buffer.byteLength(middle), end: bytes.length };
}

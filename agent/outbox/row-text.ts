/** A row's text put together in memory that is used again for each: head, number, middle, number, tail. */
import { encodedEnd, type EncodedEvent } from '#agent/domain/cloudevent.ts';

/** Of UTF-8; an encoded event as it came from the main thread. */
export interface EncodedBytes {
  readonly bytes: Buffer;
  readonly middle: number;
  readonly tail: number;
  readonly end: number;
}

const firstBytes = 16 * 1024;
/** Both numbers. */
const numberBytes = 40;

export class RowText {
  #memory = Buffer.allocUnsafeSlow(firstBytes);

  /** @returns a view that holds until the next call */
  splice(head: Buffer, { bytes, middle, tail, end }: EncodedBytes, seq: number): Buffer {
    const most = head.length + numberBytes + end - middle;
    if (most > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(2 * most);
    const memory = this.#memory;
    const number = String(seq);
    let at = head.copy(memory, 0);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, middle, tail);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, tail, end);
    return memory.subarray(0, at);
  }
}

export function encodedBytes({ middle, tail, data }: EncodedEvent): EncodedBytes {
  const bytes = Buffer.from(middle + tail + data + encodedEnd);
  return { bytes, middle: 0, tail: Buffer.byteLength(middle), end: bytes.length };
}

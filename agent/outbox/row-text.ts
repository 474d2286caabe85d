/**
 * Rows' texts: as the main thread wrote them where it knew the number, else put together anew in memory that is used again.
 *
 *   head 42 middle 42 tail        both numbers replaced: head 43 middle 43 tail
 */
import { type EncodedEvent, spliceSequence } from '#agent/domain/cloudevent.ts';

/** UTF-8 of an event, with a number. */
export interface WrittenEvent {
  readonly bytes: Buffer;
  readonly begin: number;
  /** Where its number is for the second time. */
  readonly second: number;
  readonly end: number;
  readonly seq: number;
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

  /** @returns a view that holds until `clear`, and as long as the event's bytes */
  of(head: Buffer, event: WrittenEvent, seq: number): Buffer {
    return event.seq === seq ? event.bytes.subarray(event.begin, event.end) : this.#renumber(head, event, seq);
  }

  #renumber(head: Buffer, { bytes, begin: from, second, end, seq: before }: WrittenEvent, seq: number): Buffer {
    const most = end - from + numberBytes;
    // the views of before keep the memory that they are of
    if (this.#end + most > this.#memory.length) {
      this.#memory = Buffer.allocUnsafeSlow(Math.max(firstBytes, 2 * most));
      this.#end = 0;
    }
    const memory = this.#memory;
    const [number, digits] = [String(seq), String(before).length];
    const begin = this.#end;
    let at = begin + head.copy(memory, begin);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, from + head.length + digits, second);
    at += memory.write(number, at, 'latin1');
    at += bytes.copy(memory, at, second + digits, end);
    this.#end = at;
    return memory.subarray(begin, at);
  }
}

export function writtenEvent(head: Buffer, encoded: EncodedEvent, seq: number): WrittenEvent {
  const bytes = Buffer.from(spliceSequence(head.toString('utf8'), encoded, seq));
  const second = head.length + String(seq).length + Buffer.byteLength(encoded.middle);
  return { bytes, begin: 0, second, end: bytes.length, seq };
}

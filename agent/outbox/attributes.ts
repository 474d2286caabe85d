/**
 * The context attributes of events, which is all of a text but its data, as bytes. Events that follow each other in a lane are
 * mostly of one kind and of one second: then only some digits differ, and they alone are written.
 *
 *   {"specversion":"1.0","id":"e-8f3c2a10-event-42","source":…:07.123Z",…,"seq":"42","boot":"1","monoms":"9000",…,"data":
 *                                               ==                ===           ==                     ====
 */
import { encodeAttributes, encodeHead, isoTime, type Origin, shownMonoMs, shownMs } from '#agent/domain/cloudevent.ts';
import type { ClockQuality } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';

/** UTF-8 of one UTF-16 unit. */
export const mostBytesAUnit = 3;
const firstBytes = 512;

export class Attributes {
  readonly #of = new Map<Lane, LaneAttributes>();

  /** @returns what holds until the next event of this lane */
  of(event: Event, origin: Origin, clock: ClockQuality, seq: number): LaneAttributes {
    let attributes = this.#of.get(event.lane);
    if (!attributes) this.#of.set(event.lane, (attributes = new LaneAttributes()));
    attributes.write(event, origin, clock, seq);
    return attributes;
  }
}

/** Of the event that was written last. */
export class LaneAttributes {
  #memory = Buffer.allocUnsafeSlow(firstBytes);
  #bytes: Uint8Array = this.#memory.subarray(0, 0);
  #like: Pick<Event, 'kind' | 'phase' | 'subject'> | undefined;
  #origin: Origin | undefined;
  #clock: ClockQuality | undefined;
  #second = 0;
  #seqs = noNumbers;
  #monos = noNumbers;
  /** Behind each run of digits that differ. */
  #ends = { seq: 0, time: 0, seqAgain: 0, mono: 0 };

  /** As far as the data. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the number is for the second time. */
  get second(): number {
    return this.#ends.seqAgain - this.#seqs.digits;
  }

  /** How much of it is the head and the two numbers, which are the store's. */
  get storeBytes(): number {
    return this.#ends.seq + this.#seqs.digits;
  }

  write(event: Event, origin: Origin, clock: ClockQuality, seq: number): void {
    const ms = shownMs(event.wallMs);
    const second = Math.floor(ms / 1_000);
    const mono = shownMonoMs(event.monoMs);
    const before = this.#like;
    const isAlike =
      before?.kind === event.kind &&
      before.phase === event.phase &&
      before.subject === event.subject &&
      this.#origin === origin &&
      this.#clock === clock &&
      this.#second === second &&
      isAmong(this.#seqs, seq) &&
      isAmong(this.#monos, mono);
    if (!isAlike) {
      this.#writeAll(event, origin, clock, seq);
      this.#second = second;
      return;
    }
    writeDigits(this.#memory, this.#ends.seq, this.#seqs.digits, seq);
    writeDigits(this.#memory, this.#ends.time, 3, ms - 1_000 * second);
    writeDigits(this.#memory, this.#ends.seqAgain, this.#seqs.digits, seq);
    writeDigits(this.#memory, this.#ends.mono, this.#monos.digits, mono);
  }

  #writeAll(event: Event, origin: Origin, clock: ClockQuality, seq: number): void {
    const { toTime, toSeq, toMono, toData } = encodeAttributes(event, origin, clock);
    const head = encodeHead(origin.epoch, event.lane);
    const [number, time, mono] = [String(seq), isoTime(event.wallMs), String(shownMonoMs(event.monoMs))];
    const pieces = [head, number, toTime, time, toSeq, number, toMono, mono, toData];
    const most = mostBytesAUnit * pieces.reduce((sum, { length }) => sum + length, 0);
    if (most > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(most);
    let end = 0;
    const ends = pieces.map((piece) => (end += this.#memory.write(piece, end, 'utf8')));
    const [, seqEnd = 0, , timeEnd = 0, , seqAgain = 0, , monoEnd = 0] = ends;
    this.#bytes = this.#memory.subarray(0, end);
    this.#ends = { seq: seqEnd, time: timeEnd - 'Z'.length, seqAgain, mono: monoEnd };
    const { kind, phase, subject } = event;
    this.#like = phase === undefined ? { kind, subject } : { kind, phase, subject };
    [this.#origin, this.#clock] = [origin, clock];
    [this.#seqs, this.#monos] = [numbersLike(number), numbersLike(mono)];
  }
}

/** Numbers with as many digits. */
interface Numbers {
  readonly digits: number;
  readonly from: number;
  /** Not one of them. */
  readonly end: number;
}

const noNumbers: Numbers = { digits: 0, from: 0, end: 0 };
/** With more a number is not exact. */
const mostDigits = 15;

const numbersLike = ({ length: digits }: string): Numbers =>
  digits > mostDigits
    ? { ...noNumbers, digits }
    : { digits, from: digits === 1 ? 0 : 10 ** (digits - 1), end: 10 ** digits };

const isAmong = ({ from, end }: Numbers, number: number): boolean => number >= from && number < end;

/** Digits that are worked out in whole numbers of 32 bits, which are quick. */
const digitsAtOnce = 9;
const limit = 10 ** digitsAtOnce;
const zero = 0x30;

/** The last digits of a whole number, as many as there are places before `end`. */
function writeDigits(memory: Uint8Array, end: number, places: number, number: number): void {
  let left = number;
  for (let at = end, begin: number; at > end - places; at = begin) {
    begin = Math.max(end - places, at - digitsAtOnce);
    let part = left % limit;
    left = (left - part) / limit;
    for (let digit = at - 1; digit >= begin; digit -= 1) {
      const tenth = (part / 10) | 0;
      memory[digit] = zero + part - 10 * tenth;
      part = tenth;
    }
  }
}

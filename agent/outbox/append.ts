/**
 * Events made ready for the writer: encoded side by side into one piece of memory, which is handed over whole.
 *
 *   event, event, … -> bytes  | text | text |     each as it will be stored, if its number is the one that is expected
 *   offsets: where each begins, where its second number begins, …, the end
 */
import { OutpostError } from '#agent/core/errors.ts';
import {
  encodeData,
  encodedEnd,
  encodeEvent,
  encodeHead,
  type Origin,
  spliceSequence,
} from '#agent/domain/cloudevent.ts';
import type { ClockQuality, Envelope } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { type Attributes, mostBytesAUnit } from './attributes.ts';
import type { JobNumbers } from './expected-numbers.ts';
import type { Appends, JobMemory } from './protocol.ts';

/** AWS IoT Core takes packets of 128 KB; topic, properties and the numbers need their part. */
export const maxEventBytes = 120_000;

const leastBytes = 4_096;

/** The appends of one Job. Filled once: its memory goes with it. */
export class JobAppends {
  readonly #counts: number[] = [];
  readonly #lanes: number[] = [];
  readonly #monoMs: number[] = [];
  readonly #lifeMs: (number | undefined)[] = [];
  readonly #offsets: number[] = [0];
  readonly #seqs: number[] = [];
  readonly #numbers: JobNumbers;
  readonly #attributes: Attributes;
  #bytes: Buffer<ArrayBuffer>;

  /** @param memory of an earlier Job, to be written over */
  constructor(memory: JobMemory, numbers: JobNumbers, attributes: Attributes) {
    this.#numbers = numbers;
    this.#attributes = attributes;
    this.#bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  }

  /** @throws OutpostError `event-too-large`, and takes nothing of it */
  add(events: readonly Event[], origin: Origin, clock: ClockQuality): void {
    const taken = this.#lanes.length;
    try {
      for (const event of events) this.#encode(event, origin, clock);
      this.#counts.push(events.length);
    } catch (thrown) {
      for (const list of [this.#lanes, this.#monoMs, this.#lifeMs, this.#seqs]) list.length = taken;
      this.#offsets.length = 2 * taken + 1;
      throw thrown;
    }
  }

  get layout(): Appends {
    return {
      counts: this.#counts,
      lanes: this.#lanes,
      monoMs: this.#monoMs,
      lifeMs: this.#lifeMs,
      offsets: this.#offsets,
      seqs: this.#seqs,
      bytes: this.#bytes,
    };
  }

  #encode(event: Event, origin: Origin, clock: ClockQuality): void {
    const data = encodeData(event);
    const seq = this.#numbers.next(event.lane);
    const attributes = this.#attributes.of(event, origin, clock, seq);
    const begin = this.#end;
    const dataAt = begin + attributes.bytes.length;
    this.#makeRoom(dataAt + mostBytesAUnit * data.length + encodedEnd.length);
    this.#bytes.set(attributes.bytes, begin);
    const dataEnd = dataAt + this.#bytes.write(data, dataAt, 'utf8');
    this.#bytes[dataEnd] = closing;
    const end = dataEnd + encodedEnd.length;
    const bytes = end - begin - attributes.storeBytes;
    if (bytes > maxEventBytes) {
      const { kind } = event;
      throw new OutpostError('event-too-large', undefined, { context: { kind, bytes, maxEventBytes } });
    }
    this.#offsets.push(begin + attributes.second, end);
    this.#seqs.push(seq);
    this.#lanes.push(lanes.indexOf(event.lane));
    this.#monoMs.push(event.monoMs);
    this.#lifeMs.push(event.lifeMs);
  }

  get #end(): number {
    return this.#offsets.at(-1) ?? 0;
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    // of its own, since it is handed over whole
    const larger = Buffer.allocUnsafeSlow(Math.max(leastBytes, bytes, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

const [closing = 0] = Buffer.from(encodedEnd);

/** What was stored; the bytes are made only for those who ask. */
export class StoredEnvelope implements Envelope {
  readonly #event: Event;
  readonly #seq: number;
  readonly #origin: Origin;
  readonly #clock: ClockQuality;

  constructor(event: Event, seq: number, origin: Origin, clock: ClockQuality) {
    this.#event = event;
    this.#seq = seq;
    this.#origin = origin;
    this.#clock = clock;
  }

  get lane(): Lane {
    return this.#event.lane;
  }

  get seq(): bigint {
    return BigInt(this.#seq);
  }

  get epoch(): string {
    return this.#origin.epoch;
  }

  get bytes(): Uint8Array {
    const head = encodeHead(this.epoch, this.lane);
    return Buffer.from(spliceSequence(head, encodeEvent(this.#event, this.#origin, this.#clock), this.seq));
  }
}

/** Events made ready for the writer: encoded once, side by side, so that few objects cross to the thread. */
import { OutpostError } from '#agent/core/errors.ts';
import { type EncodedEvent, encodeEvent, encodeHead, type Origin, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { ClockQuality, Envelope } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import type { Appends } from './protocol.ts';

/** AWS IoT Core takes packets of 128 KB; topic, properties and the numbers need their part. */
export const maxEventBytes = 120_000;

export interface EncodedAppend {
  readonly events: readonly Event[];
  readonly encoded: readonly EncodedEvent[];
  /** What they were encoded for: another epoch means encoding them again. */
  readonly origin: Origin;
  readonly clock: ClockQuality;
}

/** @throws OutpostError `event-too-large` */
export const encodeAppend = (events: readonly Event[], origin: Origin, clock: ClockQuality): EncodedAppend => ({
  events,
  origin,
  clock,
  encoded: events.map((event) => checkSize(encodeEvent(event, origin, clock), event)),
});

/** Side by side, as they cross to the writer. */
export function layOut(all: readonly EncodedAppend[]): Appends {
  const appends = {
    counts: [] as number[],
    lanes: [] as number[],
    monoMs: [] as number[],
    lifeMs: [] as (number | undefined)[],
    texts: [] as string[],
  };
  for (const { events, encoded } of all) {
    appends.counts.push(events.length);
    for (const { lane, monoMs, lifeMs } of events) {
      appends.lanes.push(lanes.indexOf(lane));
      appends.monoMs.push(monoMs);
      appends.lifeMs.push(lifeMs);
    }
    for (const { middle, tail } of encoded) appends.texts.push(middle, tail);
  }
  return appends;
}

/** What was stored; the bytes are made only for those who ask. */
export class StoredEnvelope implements Envelope {
  readonly lane: Lane;
  readonly seq: bigint;
  readonly epoch: string;
  readonly #event: EncodedEvent;

  constructor(epoch: string, lane: Lane, seq: number, event: EncodedEvent) {
    this.epoch = epoch;
    this.lane = lane;
    this.seq = BigInt(seq);
    this.#event = event;
  }

  get bytes(): Uint8Array {
    return Buffer.from(spliceSequence(encodeHead(this.epoch, this.lane), this.#event, this.seq));
  }
}

function checkSize(encoded: EncodedEvent, { kind }: Event): EncodedEvent {
  const characters = encoded.middle.length + encoded.tail.length;
  // three bytes a UTF-16 unit at most
  if (characters * 3 <= maxEventBytes) return encoded;
  const bytes = Buffer.byteLength(encoded.middle) + Buffer.byteLength(encoded.tail);
  if (bytes <= maxEventBytes) return encoded;
  throw new OutpostError('event-too-large', undefined, { context: { kind, bytes, maxEventBytes } });
}

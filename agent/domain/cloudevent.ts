/**
 * An Event as CloudEvents 1.0 in JSON, encoded once; the sequence number is spliced in when the store assigns it.
 *
 *   {"specversion":"1.0","id":"e-8f3c2a10-event-  42  ","source":…,"lane":"event","seq":"  42  ","boot":…,"data":  {…}  }
 *   `------------- head ------------------------'     `----------- middle -------------'      `---- tail ----'   data
 *
 * The head is the same for all events of an epoch and a lane, so the writer keeps it. Golden vectors:
 * `golden/cloudevents.json`.
 */
import type { ClockQuality } from './envelope.ts';
import type { Event } from './event.ts';
import type { Lane } from './lane.ts';

/** Content types of the MQTT binding, and of the JSON batch format. */
export const contentTypes = {
  one: 'application/cloudevents+json',
  batch: 'application/cloudevents-batch+json',
} as const;

/** Where an event is born. */
export interface Origin {
  readonly device: string;
  readonly epoch: string;
  /** Counted by the store, one for each boot of the machine. */
  readonly boot: number;
}

/** All but the sequence number. In pieces, since joining them would write each text once more. */
export interface EncodedEvent {
  readonly middle: string;
  readonly tail: string;
  readonly data: string;
}

/** What follows the data. */
export const encodedEnd = '}';

/** The CloudEvents type, such as `outpost.intrusion.start`. */
export const eventType = ({ kind, phase }: Pick<Event, 'kind' | 'phase'>): string =>
  phase ? `outpost.${kind}.${phase}` : `outpost.${kind}`;

export const encodeHead = (epoch: string, lane: Lane): string =>
  `{"specversion":"1.0","id":"e-${epoch.slice(0, 8)}-${lane}-`;

export function encodeEvent(event: Event, origin: Origin, clock: ClockQuality): EncodedEvent {
  const { toTime, toSeq, toMono, toData } = encodeAttributes(event, origin, clock);
  return {
    middle: toTime + isoTime(event.wallMs) + toSeq,
    tail: toMono + shownMonoMs(event.monoMs) + toData,
    data: encodeData(event),
  };
}

/** Context attributes that events of one kind, lane and subject share; what lies between them differs with each event. */
export interface AttributePieces {
  /** From the first number to the time. */
  readonly toTime: string;
  /** From the time to the second number. */
  readonly toSeq: string;
  /** From there to the monotonic time. */
  readonly toMono: string;
  readonly toData: string;
}

export const encodeAttributes = (event: Event, origin: Origin, clock: ClockQuality): AttributePieces => ({
  toTime: `","source":${sourceOf(origin.device)},"type":"${eventType(event)}","time":"`,
  toSeq:
    `","subject":${JSON.stringify(event.subject)},"datacontenttype":"application/json",` +
    `"epoch":"${origin.epoch}","lane":"${event.lane}","seq":"`,
  toMono: `","boot":"${origin.boot}","monoms":"`,
  toData: `","clock":"${clock}","data":`,
});

export const encodeData = ({ data }: Event): string => JSON.stringify(data);

/** The whole JSON object. */
export const spliceSequence = (head: string, { middle, tail, data }: EncodedEvent, seq: bigint | number): string =>
  head + seq + middle + seq + tail + data + encodedEnd;

/** Quoted; the device that was asked for last is the only one. */
function sourceOf(device: string): string {
  if (device !== quoted.device) quoted = { device, text: JSON.stringify(`/outpost/${device}`) };
  return quoted.text;
}

let quoted = { device: '', text: '"/outpost/"' };

const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A clock beyond what a date can hold is shown as its nearest end, never an exception. */
export const shownMs = (wallMs: number): number =>
  Math.trunc(Math.min(lastMs, Math.max(0, Number.isFinite(wallMs) ? wallMs : 0)));

/** RFC 3339, with three digits of the second. */
export function isoTime(wallMs: number): string {
  const ms = shownMs(wallMs);
  const second = Math.floor(ms / 1_000);
  if (second !== shown.second) shown = { second, text: new Date(second * 1_000).toISOString().slice(0, -4) };
  return `${shown.text}${String(ms % 1_000).padStart(3, '0')}Z`;
}

/** The second that was asked for last, as far as its point: most events share it. */
let shown = { second: 0, text: '1970-01-01T00:00:00.' };

/** As the envelope tells it: whole milliseconds. */
export const shownMonoMs = (monoMs: number): number => Math.max(0, Math.round(monoMs));

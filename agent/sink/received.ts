/**
 * A publish as what can be committed: events, and what is set aside with the reason. Nothing is dropped here.
 *
 *   topic, bytes --> UTF-8 -> JSON -> one event or an array --> events
 *                        \______________ what fails ________/--> rejected, whole or by the event
 */
import { hash } from 'node:crypto';
import type { SeqRange } from '#agent/domain/ack.ts';
import { intolerable, kindOf, parseReceived } from '#agent/domain/catalogue.ts';
import { ackLimits } from '#agent/domain/ack.ts';
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { eventData } from '#agent/domain/event.ts';

export interface LaneKey {
  readonly device: string;
  readonly epoch: string;
  readonly lane: Lane;
}

/** What a committed `outpost.dropped` says of another lane of the same device. */
export interface Declaration {
  readonly target: LaneKey;
  readonly range: SeqRange;
  readonly count: number;
  readonly bytes: number;
  readonly reason: string;
}

/** A part of a picture or another blob. */
export interface MediaChunk {
  readonly id: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly size: number;
  readonly chunk: number;
  readonly chunks: number;
  readonly content: Buffer;
}

export interface ReceivedEvent {
  readonly key: LaneKey;
  readonly seq: number;
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  readonly subject: string;
  readonly boot: number;
  readonly monoMs: number;
  readonly clock: string;
  /** JSON text of `data`. */
  readonly data: string;
  /** JSON text of attributes that this version does not know. */
  readonly extra: string | undefined;
  /** 32 hexadecimal digits of the SHA-256 of the whole event: two events with one number and different content differ. */
  readonly digest: string;
  readonly declaration: Declaration | undefined;
  readonly media: MediaChunk | undefined;
}

export interface Rejected {
  readonly topic: string;
  readonly device: string;
  /** Known where at least the identity can be read: the number then counts as committed. */
  readonly identity: { readonly key: LaneKey; readonly seq: number } | undefined;
  readonly reason: string;
  /** The first 64 KiB of what came. */
  readonly payload: Buffer;
  readonly bytes: number;
  readonly digest: string;
}

export interface Received {
  readonly events: readonly ReceivedEvent[];
  readonly rejected: readonly Rejected[];
}

/** No device publishes more; it is set aside unread. */
export const largestPayloadBytes = 1024 * 1024;
const keptBytes = 64 * 1024;
const longestReason = 500;

export function readPublish(topic: string, device: string, lane: Lane, payload: Buffer): Received {
  const whole = (reason: string): Received => ({
    events: [],
    rejected: [reject({ topic, device, payload, reason, identity: undefined })],
  });
  if (payload.length > largestPayloadBytes) return whole(`larger than ${largestPayloadBytes} bytes`);
  const text = utf8(payload);
  if (text === undefined) return whole('not UTF-8');
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return whole('not JSON');
  }
  const events: ReceivedEvent[] = [];
  const rejected: Rejected[] = [];
  for (const item of Array.isArray(message) ? (message as readonly unknown[]) : [message]) {
    const read = readEvent(item, device, lane);
    if ('event' in read) events.push(read.event);
    else rejected.push(reject({ topic, device, ...read, payload: read.payload ?? payload }));
  }
  return { events, rejected };
}

type Read =
  | { readonly event: ReceivedEvent }
  | { readonly reason: string; readonly payload: Buffer | undefined; readonly identity: Rejected['identity'] };

function readEvent(item: unknown, device: string, lane: Lane): Read {
  const text = stringify(item);
  if (text === undefined) return { reason: 'nested too deeply', payload: undefined, identity: undefined };
  const parsed = parseReceived(item);
  const identity = identityOf(item, device, lane);
  const failed = (reason: string): Read => ({ reason, payload: Buffer.from(text), identity });
  if ('problem' in parsed) return failed(parsed.problem);
  const { attributes, extra } = parsed;
  if (attributes.source !== `/outpost/${device}`) return failed(`source is not /outpost/${device}`);
  if (attributes.lane !== lane) return failed(`lane is not ${lane}, that of the topic`);
  if (!identity) return failed('epoch or seq cannot be used');
  if (unstorable.test(text)) return failed('holds U+0000 or half a surrogate pair');
  const [boot, monoMs] = [Number(attributes.boot), Number(attributes.monoms)];
  if (!Number.isSafeInteger(boot) || !Number.isSafeInteger(monoMs)) return failed('boot or monoms is too large');
  const kind = kindOf(attributes.type);
  // A kind that a newer device knows and this program does not is kept as it is.
  const problem = kind === undefined ? undefined : intolerable(kind, attributes.data);
  if (problem !== undefined) return failed(`${attributes.type}: ${problem}`);
  const { type, time, subject, clock } = attributes;
  const media = kind === 'media' ? chunkOf(attributes.data) : undefined;
  if (media && media.chunk >= media.chunks) return failed(`${attributes.type}: chunk is beyond chunks`);
  // the bytes have a table of their own
  const data = media ? { ...media, content: undefined } : attributes.data;
  return {
    event: {
      ...identity,
      type,
      time,
      subject,
      boot,
      monoMs,
      clock,
      data: JSON.stringify(data ?? null),
      extra: extra === undefined ? undefined : JSON.stringify(extra),
      digest: digestOf(text),
      media,
      declaration: kind === 'dropped' ? declarationOf(data, identity.key) : undefined,
    },
  };
}

/** An odd number of backslashes, then a character that PostgreSQL holds in no text. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** Only of what came on the topic of its own device and lane. */
function identityOf(item: unknown, device: string, topicLane: Lane): Rejected['identity'] {
  if (typeof item !== 'object' || item === null) return undefined;
  const { epoch, lane, seq } = item as Readonly<Record<string, unknown>>;
  if (typeof epoch !== 'string' || !/^[0-9a-f]{1,64}$/.test(epoch) || lane !== topicLane) return undefined;
  const number = seqOf(seq);
  return number === undefined ? undefined : { key: { device, epoch, lane: topicLane }, seq: number };
}

function seqOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^[1-9]\d{0,12}$/.test(value)) return undefined;
  const seq = Number(value);
  return seq <= ackLimits.seq ? seq : undefined;
}

/** @returns undefined for a declaration that declares nothing that can be */
function declarationOf(data: unknown, key: LaneKey): Declaration | undefined {
  const parsed = eventData.dropped.loose().safeParse(data);
  if (!parsed.success) return undefined;
  const { epoch = key.epoch, lane, first, last, count, bytes, reason } = parsed.data;
  const [from, to] = [seqOf(first), seqOf(last)];
  if (from === undefined || to === undefined || to < from || !isLane(lane) || !/^[0-9a-f]{1,64}$/.test(epoch))
    return undefined;
  return { target: { device: key.device, epoch, lane }, range: [from, to], count, bytes, reason };
}

function chunkOf(data: unknown): MediaChunk | undefined {
  const parsed = eventData.media.loose().safeParse(data);
  if (!parsed.success) return undefined;
  const { id, mediaType, sha256, size, chunk, chunks, content } = parsed.data;
  return { id, mediaType, sha256, size, chunk, chunks, content: Buffer.from(content, 'base64') };
}

export function reject(what: Omit<Rejected, 'bytes' | 'digest'>): Rejected {
  const { payload, topic, reason } = what;
  return {
    ...what,
    topic: topic.replaceAll('\u0000', ' ').toWellFormed(),
    reason: reason.slice(0, longestReason).replaceAll('\u0000', ' ').toWellFormed(),
    payload: payload.subarray(0, keptBytes),
    bytes: payload.length,
    digest: digestOf(Buffer.concat([Buffer.from(`${topic}\n`), payload])),
  };
}

const digestOf = (bytes: string | Buffer): string => hash('sha256', bytes, 'hex').slice(0, 32);

function utf8(payload: Buffer): string | undefined {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // the stack ends somewhere
    return undefined;
  }
}

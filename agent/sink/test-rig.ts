/** What the tests of this room share: events as a device writes them. */
import { hash } from 'node:crypto';
import { encodeEvent, encodeHead, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Intake } from './database.ts';
import { readPublish, type Received } from './received.ts';

export const epochA = 'a'.repeat(32);
export const epochB = 'b'.repeat(32);

export interface Made {
  readonly device?: string;
  readonly epoch?: string;
  readonly lane?: Lane;
  readonly detail?: string;
}

const splice = (event: Event, seq: number, device: string, epoch: string): string =>
  spliceSequence(encodeHead(epoch, event.lane), encodeEvent(event, { device, epoch, boot: 3 }, 'synced'), seq);

/** The JSON of an event as it is sent. */
export function eventText(
  seq: number,
  { device = 'robot-07', epoch = epochA, lane = 'event', detail = '' }: Made = {},
): string {
  const data = { incident: `i-${seq}`, condition: 'black', durationMs: seq, detail } as const;
  const event = { kind: 'camera', phase: 'start', lane, subject: 'camera/front', data } as const;
  return splice({ ...event, wallMs: 1_795_334_400_000 + seq, monoMs: seq }, seq, device, epoch);
}

export interface Drop {
  readonly lane?: Lane;
  readonly first: number;
  readonly last: number;
  readonly epoch?: string;
}

/** An `outpost.dropped` in lane `audit`. */
export function droppedText(seq: number, { lane = 'event', first, last, epoch }: Drop, device = 'robot-07'): string {
  const data = {
    lane,
    first: String(first),
    last: String(last),
    count: last - first + 1,
    bytes: 0,
    reason: 'budget',
  } as const;
  const whole = epoch === undefined ? data : { ...data, epoch };
  const event = { kind: 'dropped', lane: 'audit', subject: 'outbox', data: whole } as const;
  return splice({ ...event, wallMs: 1_795_334_400_000, monoMs: 1 }, seq, device, epochA);
}

export interface Blob {
  readonly id: string;
  readonly content: Buffer;
  readonly chunkBytes?: number;
  readonly sha256?: string;
}

/** A piece of media as the events of lane `media` that carry it, numbered from `seq`. */
export function mediaTexts(seq: number, { id, content, chunkBytes = 64 * 1024, sha256 }: Blob): string[] {
  const chunks = Math.ceil(content.length / chunkBytes);
  return range(0, chunks - 1).map((chunk) => {
    const part = content.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
    const data = {
      id,
      mediaType: 'image/jpeg',
      sha256: sha256 ?? hash('sha256', content, 'hex'),
      size: content.length,
      chunk,
      chunks,
      content: part.toString('base64'),
    };
    const event = { kind: 'media', lane: 'media', subject: 'camera/front', wallMs: 0, monoMs: 1, data } as const;
    return splice(event, seq + chunk, 'robot-07', epochA);
  });
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signed by nobody: a sink does not look. */
const jws = (claims: Record<string, unknown>, signer: string): Buffer =>
  Buffer.from(JSON.stringify({ payload: base64url(claims), signatures: [{ protected: base64url({ kid: signer }) }] }));

export const desiredMessage = (version: number, signer = 'operator', device = 'robot-07'): Buffer =>
  jws({ version, device, config: {} }, signer);

export const commandMessage = (id: string, expires: string | number, device = 'robot-07'): Buffer =>
  jws({ id, device, name: 'say', args: {}, expires }, 'operator');

const otherText = (seq: number, lane: Lane, type: string, data: unknown, device: string): string =>
  JSON.stringify({ ...(JSON.parse(eventText(seq, { lane, device })) as object), type, data });

export const answerText = (seq: number, id: string, answer: string, device = 'robot-07'): string =>
  otherText(seq, 'event', `outpost.command.${answer}`, { id }, device);

export const uploadText = (seq: number, data: Record<string, unknown>): string =>
  otherText(seq, 'media', 'outpost.upload', { mediaType: 'image/jpeg', size: 7, ...data }, 'robot-07');

export const topicOf = (device: string, name: string): string => `outpost/v1/${device}/up/${name}`;

export const received = (lane: Lane, payload: string, device = 'robot-07'): Received =>
  readPublish(topicOf(device, lane), device, lane, Buffer.from(payload));

export function intakeOf(...parts: readonly Received[]): Intake {
  return {
    events: parts.flatMap(({ events }) => events),
    rejected: parts.flatMap(({ rejected }) => rejected),
    presences: [],
  };
}

/** Events of one lane by their numbers. */
export const events = (seqs: readonly number[], made: Made = {}): Intake =>
  intakeOf(received(made.lane ?? 'event', `[${seqs.map((seq) => eventText(seq, made)).join(',')}]`, made.device));

export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_none, index) => first + index);

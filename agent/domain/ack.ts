/**
 * `down/ack`: what a consumer has committed, signed, since it makes the device delete evidence.
 *
 *   {"device":"robot-07","epochs":{EPOCH:{LANE:{"upto":"1042","missing":[["990","991"]]}}},"sig":{"kid":…,"value":…}}
 *
 * Signed is `outpost-ack/1`, a line feed, and the message without `sig` as RFC 8785 writes it, with the member
 * `device` set to the device of the topic: an acknowledgement for one device is nothing to another, whether it names
 * the device or not. A message states a set of committed numbers, so many of them merge by union, in any order.
 */
import { canonicalJson } from '#agent/core/canonical-json.ts';
import { isLane, type Lane } from './lane.ts';
import type { Sign, Signature } from './signature.ts';

/** Both ends included. */
export type SeqRange = readonly [first: number, last: number];

export interface LaneAck {
  /** Highest number that is committed; 0: none. */
  readonly upto: number;
  /** Not committed, below `upto`: ascending, apart from each other; without what an `outpost.dropped` declares. */
  readonly missing: readonly SeqRange[];
}

export interface Ack {
  readonly device: string;
  readonly epochs: ReadonlyMap<string, ReadonlyMap<Lane, LaneAck>>;
}

/** Why a message is nothing to this device. */
export type AckProblem = 'too-large' | 'not-utf-8' | 'not-json' | 'malformed' | 'other-device' | 'unsigned';

export interface ReceivedAck {
  readonly ack: Ack;
  /** The signature still has to be verified, over these. */
  readonly signed: Uint8Array;
  readonly signature: Signature;
}

/** A packet of AWS IoT Core holds 128 KB; a store has few epochs; sequence numbers have 40 bits. */
export const ackLimits = { bytes: 120_000, epochs: 32, ranges: 4_096, seq: 2 ** 40 - 1 } as const;

type Json = Readonly<Record<string, unknown>>;

/** @param device that of the topic, or of whoever reads it */
export function parseAck(payload: Uint8Array, device: string): ReceivedAck | AckProblem {
  if (payload.byteLength > ackLimits.bytes) return 'too-large';
  const text = utf8(payload);
  if (text === undefined) return 'not-utf-8';
  const message = parsed(text);
  if (message === undefined) return 'not-json';
  if (!isRecord(message)) return 'malformed';
  const { sig, ...rest } = message;
  if ('device' in rest && rest['device'] !== device) return 'other-device';
  const epochs = epochsOf(rest['epochs']);
  const signed = signedBytes(rest, device);
  if (!epochs || !signed) return 'malformed';
  const signature = signatureOf(sig);
  return signature ? { ack: { device, epochs }, signed, signature } : 'unsigned';
}

/**
 * The payload. Where the ranges of a lane do not fit, its `upto` is lowered to before the first that does not: less is
 * acknowledged, and nothing wrongly.
 */
export function encodeAck(ack: Ack, sign: Sign): Buffer {
  let { ranges }: { ranges: number } = ackLimits;
  for (;;) {
    const message = { device: ack.device, epochs: epochsAsJson(ack.epochs, ranges) };
    const signed = signedBytes(message, ack.device) ?? Buffer.alloc(0);
    const payload = Buffer.from(JSON.stringify({ ...message, sig: sign(signed) }));
    if (payload.byteLength <= ackLimits.bytes || ranges === 0) return payload;
    ranges = Math.floor(ranges / 2);
  }
}

function signedBytes(message: Json, device: string): Buffer | undefined {
  const canonical = canonicalJson({ ...message, device });
  return canonical === undefined ? undefined : Buffer.from(`outpost-ack/1\n${canonical}`);
}

function epochsAsJson(epochs: Ack['epochs'], ranges: number): Json {
  let left = ranges;
  const lane = ({ upto, missing }: LaneAck): Json => {
    const kept = missing.slice(0, left);
    const next = missing[kept.length];
    left -= kept.length;
    return { upto: String(next ? next[0] - 1 : upto), missing: kept.map(([first, last]) => [`${first}`, `${last}`]) };
  };
  return Object.fromEntries(
    [...epochs].map(([epoch, byLane]) => [
      epoch,
      Object.fromEntries([...byLane].map(([name, state]) => [name, lane(state)])),
    ]),
  );
}

function epochsOf(value: unknown): Ack['epochs'] | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length > ackLimits.epochs) return undefined;
  let ranges = 0;
  const epochs = new Map<string, ReadonlyMap<Lane, LaneAck>>();
  for (const [epoch, byLane] of entries) {
    if (!isRecord(byLane) || !/^[0-9a-f]{1,64}$/.test(epoch)) return undefined;
    const acks = new Map<Lane, LaneAck>();
    for (const [name, state] of Object.entries(byLane)) {
      const ack = isLane(name) ? laneAckOf(state) : undefined;
      ranges += ack?.missing.length ?? 0;
      if (!isLane(name) || !ack || ranges > ackLimits.ranges) return undefined;
      acks.set(name, ack);
    }
    epochs.set(epoch, acks);
  }
  return epochs;
}

function laneAckOf(value: unknown): LaneAck | undefined {
  if (!isRecord(value)) return undefined;
  const upto = seqOf(value['upto']);
  const given = value['missing'] ?? [];
  if (upto === undefined || !Array.isArray(given) || given.length > ackLimits.ranges) return undefined;
  const missing: SeqRange[] = [];
  let end = 0;
  for (const range of given as readonly unknown[]) {
    if (!Array.isArray(range) || range.length !== 2) return undefined;
    const [first, last] = [seqOf(range[0]), seqOf(range[1])];
    if (first === undefined || last === undefined || first <= end || last < first || last >= upto) return undefined;
    missing.push([first, last]);
    end = last;
  }
  return { upto, missing };
}

function seqOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^(0|[1-9]\d{0,12})$/.test(value)) return undefined;
  const seq = Number(value);
  return seq <= ackLimits.seq ? seq : undefined;
}

function signatureOf(value: unknown): Signature | undefined {
  if (!isRecord(value)) return undefined;
  const { kid, value: bytes } = value;
  if (typeof kid !== 'string' || typeof bytes !== 'string') return undefined;
  return /^[\w-]{43}$/.test(kid) && /^[\w-]{86}$/.test(bytes) ? { kid, value: bytes } : undefined;
}

function utf8(payload: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Known bytes and what they mean, each with its source: a driver's `vectors.json`. */

/** As it stands in the file. Bytes inside a message are written as `{"$hex": "01 02"}`. */
export interface VectorFile {
  /** Standards, manuals and recordings that the vectors are taken from. */
  readonly sources: readonly string[];
  readonly vectors: readonly WrittenVector[];
  /** Bytes that must be rejected whole. */
  readonly rejected?: readonly WrittenRejection[];
}

interface WrittenBytes {
  readonly name: string;
  /** Who says it: `device` to us, or `host` to the device. */
  readonly from: string;
  /** Where it is known from, as in `sources`. */
  readonly source?: string;
  /** Exactly one of the two; text is Latin-1, with JSON's escapes. */
  readonly text?: string;
  readonly hex?: string;
}

interface WrittenVector extends WrittenBytes {
  readonly messages: readonly unknown[];
  /** Why these messages are not encoded to these very bytes (an older form, noise, another spelling). */
  readonly oneWay?: string;
}

interface WrittenRejection extends WrittenBytes {
  readonly reason: string;
}

export interface Vector {
  readonly name: string;
  readonly from: 'device' | 'host';
  readonly bytes: Uint8Array;
  readonly messages: readonly unknown[];
  readonly twoWay: boolean;
}

export interface Rejected {
  readonly name: string;
  readonly from: 'device' | 'host';
  readonly bytes: Uint8Array;
  readonly reason: string;
}

export interface Vectors {
  readonly vectors: readonly Vector[];
  readonly rejected: readonly Rejected[];
}

/** @throws Error when the file is wrong: a driver without sound vectors is no driver */
export function readVectors({ sources, vectors, rejected = [] }: VectorFile): Vectors {
  if (sources.length === 0) throw new Error('vectors.json must name its sources');
  if (vectors.length === 0) throw new Error('vectors.json must hold vectors');
  return {
    vectors: vectors.map((vector) => ({
      name: vector.name,
      from: sideOf(vector),
      bytes: bytesOf(vector),
      messages: vector.messages.map(revive),
      twoWay: vector.oneWay === undefined,
    })),
    rejected: rejected.map((entry) => ({
      name: entry.name,
      from: sideOf(entry),
      bytes: bytesOf(entry),
      reason: entry.reason,
    })),
  };
}

function sideOf({ name, from }: WrittenBytes): 'device' | 'host' {
  if (from === 'device' || from === 'host') return from;
  throw new Error(`vector ${name}: from must be device or host`);
}

function bytesOf({ name, text, hex }: WrittenBytes): Uint8Array {
  if (text !== undefined && hex === undefined) return Uint8Array.from(Buffer.from(text, 'latin1'));
  const digits = hex?.replace(/\s+/g, '') ?? '';
  if (text !== undefined || !/^([0-9a-f]{2})+$/i.test(digits))
    throw new Error(`vector ${name}: needs either text or hex`);
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === '$hex')
    return Uint8Array.from(Buffer.from(String(entries[0][1]).replace(/\s+/g, ''), 'hex'));
  return Object.fromEntries(entries.map(([key, inner]) => [key, revive(inner)]));
}

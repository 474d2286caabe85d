/**
 * What goes down to devices, and what they report of it, as far as a sink needs it to send it again: read, and never
 * judged, since the device alone verifies signatures.
 *
 *   down/desired: JWS --> version, hash     down/cmd: JWS --> id, expires     up/reported --> version, hash, phase
 */
import { hash } from 'node:crypto';
import type { ReceivedEvent } from './received.ts';

/** The signed configuration; `message` is what came, byte for byte. */
export interface Desired {
  readonly kind: 'desired';
  readonly device: string;
  readonly version: number;
  /** SHA-256 of the JWS payload, lower-case hexadecimal. */
  readonly hash: string;
  readonly message: Buffer;
}

export interface CommandSent {
  readonly kind: 'command';
  readonly device: string;
  readonly id: string;
  readonly expiresMs: number;
  readonly message: Buffer;
}

export interface Reported {
  readonly kind: 'reported';
  readonly device: string;
  readonly version: number;
  readonly hash: string | undefined;
  readonly phase: string | undefined;
  /** JSON text of the whole message. */
  readonly reported: string;
}

/** An empty message on `down/desired`: whoever configures has taken it back. */
export interface Cleared {
  readonly kind: 'cleared';
  readonly device: string;
}

export type Downlink = Desired | CommandSent | Reported | Cleared;

/** An `outpost.command.…` event: the device has the command. */
export interface CommandAnswer {
  readonly device: string;
  readonly id: string;
  readonly answer: string;
}

const largestBytes = { desired: 256 * 1024, command: 64 * 1024, reported: 64 * 1024 } as const;
const idPattern = /^[\x21-\x7e]{1,100}$/;
/** The last moment that RFC 3339 can write. */
const lastMs = Date.UTC(9999, 11, 31);

type Json = Readonly<Record<string, unknown>>;

/** @returns why it cannot be read */
export function readDesired(device: string, message: Buffer): Desired | Cleared | string {
  if (message.length === 0) return { kind: 'cleared', device };
  const read = jwsPayload(message, largestBytes.desired);
  if (typeof read === 'string') return read;
  const version = integer(read.claims['version']);
  if (version === undefined) return 'the payload has no version';
  if (isOfAnother(read.claims, device)) return 'the payload is for another device';
  return { kind: 'desired', device, version, hash: hash('sha256', read.payload, 'hex'), message };
}

/** @returns why it cannot be read */
export function readCommand(device: string, message: Buffer): CommandSent | string {
  const read = jwsPayload(message, largestBytes.command);
  if (typeof read === 'string') return read;
  const { id } = read.claims;
  if (typeof id !== 'string' || !idPattern.test(id)) return 'the payload has no id';
  if (isOfAnother(read.claims, device)) return 'the payload is for another device';
  const expiresMs = timeOf(read.claims['expires']);
  if (expiresMs === undefined) return 'the payload does not say when it expires';
  return { kind: 'command', device, id, expiresMs, message };
}

/** @returns why it cannot be read */
export function readReported(device: string, message: Buffer): Reported | string {
  const claims = parsed(message, largestBytes.reported);
  if (typeof claims === 'string') return claims;
  const version = integer(claims['version']);
  if (version === undefined) return 'no version';
  const reported = JSON.stringify(claims);
  if (/\\u(?:0000|d[89a-f])/.test(reported)) return 'holds U+0000 or half a surrogate pair';
  const text = (name: string): string | undefined => {
    const value = claims[name];
    return typeof value === 'string' ? value.slice(0, 200) : undefined;
  };
  return { kind: 'reported', device, version, hash: text('hash'), phase: text('phase'), reported };
}

/** Each command once, with its last answer; in the order in which all sinks write them. */
export function answersIn(events: readonly ReceivedEvent[]): readonly CommandAnswer[] {
  const answers = new Map<string, CommandAnswer>();
  for (const { key, type, data } of events) {
    const answer = /^outpost\.command\.([a-z]+)$/.exec(type)?.[1];
    if (answer === undefined) continue;
    const { id } = (JSON.parse(data) ?? {}) as Json;
    if (typeof id === 'string' && idPattern.test(id)) {
      answers.set(`${key.device} ${id}`, { device: key.device, id, answer });
    }
  }
  return [...answers].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, answer]) => answer);
}

export interface DownlinkRound {
  readonly desired: readonly (Desired | Cleared)[];
  readonly commands: readonly CommandSent[];
  readonly reported: readonly Reported[];
}

/** The last of each, in the order in which all sinks write them. */
export function downlinkRound(downlinks: readonly Downlink[]): DownlinkRound {
  const last = new Map<string, Downlink>();
  for (const downlink of downlinks) {
    const { kind, device } = downlink;
    const name =
      kind === 'command' ? `${kind} ${device} ${downlink.id}` : `${kind === 'cleared' ? 'desired' : kind} ${device}`;
    const before = last.get(name);
    const isOlder = kind === 'desired' && before?.kind === 'desired' && before.version > downlink.version;
    if (!isOlder) last.set(name, downlink);
  }
  const sorted = [...last].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, downlink]) => downlink);
  return {
    desired: sorted.filter((one) => one.kind === 'desired' || one.kind === 'cleared'),
    commands: sorted.filter((one) => one.kind === 'command'),
    reported: sorted.filter((one) => one.kind === 'reported'),
  };
}

/** General or flattened JSON serialisation (RFC 7515 section 7.2). */
function jwsPayload(message: Buffer, largest: number): { readonly payload: Buffer; readonly claims: Json } | string {
  const jws = parsed(message, largest);
  if (typeof jws === 'string') return jws;
  const { payload: text } = jws;
  if (typeof text !== 'string' || !/^[\w-]+$/.test(text)) return 'no JWS in JSON';
  const payload = Buffer.from(text, 'base64url');
  const claims = parsed(payload, largest);
  return typeof claims === 'string' ? `the payload is ${claims}` : { payload, claims };
}

function parsed(bytes: Buffer, largest: number): Json | string {
  if (bytes.length > largest) return `larger than ${largest} bytes`;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : 'not a JSON object';
  } catch {
    return 'not JSON in UTF-8';
  }
}

const isOfAnother = ({ device: named }: Json, device: string): boolean => named !== undefined && named !== device;

const integer = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

/** RFC 3339 text, or seconds since 1970 as JWT has them (RFC 7519 section 2). */
function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value * 1_000 : Number.NaN;
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, lastMs) : undefined;
}

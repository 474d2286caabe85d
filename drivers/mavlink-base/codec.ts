/**
 * Frames of MAVLink 2 (mavlink.io/en/guide/serialization.html, message_signing.html).
 *
 *   fd  length  incompat  compat  seq  system  component  id(3)  payload…  crc(2)  [ link(1) time(6) mac(6) ]
 *
 * The payload goes without its trailing zeros. With a key, what is not signed with it, or was heard before, is rejected;
 * without one, signatures are not looked at.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';
import { crcExtras } from './crc-extras.ts';
import { checksum, type Layout, layoutById, layoutByName, type Message, type Place, sizes } from './definitions.ts';

export interface Signature {
  readonly link: number;
  /** In 10 µs since 2015-01-01 UTC. */
  readonly time: number;
  /** Six bytes; absent in a packet that is to be signed by the codec. */
  readonly mac?: Uint8Array;
}

export interface Packet {
  readonly sequence: number;
  readonly system: number;
  readonly component: number;
  readonly message: Message;
  readonly signature?: Signature;
}

const start = 0xfd;
const headerBytes = 10;
const crcBytes = 2;
const signatureBytes = 13;
const macBytes = 6;
const longest = headerBytes + 255 + crcBytes + signatureBytes;
const isSigned = 0x01;

/** @param key 32 bytes, shared with the autopilot; absent: nothing is signed, and signatures are not looked at */
export function mavlinkCodec(key?: Uint8Array): Codec<Packet, Packet> {
  const heard = new Map<string, number>();
  const isNew = (stream: string, time: number): boolean => {
    if (time <= (heard.get(stream) ?? -1)) return false;
    heard.set(stream, time);
    return true;
  };
  return framing({
    limit: longest,
    look: (window) => look(window, key, isNew),
    encode: (packet) => encode(packet, key),
  });
}

type IsNew = (stream: string, time: number) => boolean;

function look(window: Uint8Array, key: Uint8Array | undefined, isNew: IsNew): Look<Packet> {
  if (window[0] !== start) return bad(1, 'garbage');
  if (window.length < headerBytes) return open;
  const view = viewOf(window);
  const [length, flags] = [view.getUint8(1), view.getUint8(2)];
  // a flag that we do not know changes the frame in a way that we do not know
  if ((flags & ~isSigned) !== 0) return bad(1, 'malformed');
  const id = view.getUint16(7, true) | (view.getUint8(9) << 16);
  const crcExtra = crcExtras.get(id);
  if (crcExtra === undefined) return bad(1, 'malformed');
  const checked = headerBytes + length;
  const whole = checked + crcBytes + (flags === isSigned ? signatureBytes : 0);
  if (window.length < whole) return open;
  if (crcOf(window.subarray(1, checked), crcExtra) !== view.getUint16(checked, true)) return bad(1, 'checksum');
  const signature = flags === isSigned ? signatureAt(view, checked + crcBytes) : undefined;
  if (key && !isTrusted(window.subarray(0, whole), signature, key, isNew)) return bad(whole, 'malformed');
  const layout = layoutById.get(id);
  if (!layout) return frame(whole, undefined);
  const message = { name: layout.name, fields: read(layout, window.subarray(headerBytes, checked)) } as Message;
  return frame(whole, {
    sequence: view.getUint8(4),
    system: view.getUint8(5),
    component: view.getUint8(6),
    message,
    // without a key it proves nothing
    ...(key && signature ? { signature } : {}),
  });
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

const crcOf = (checked: Uint8Array, crcExtra: number): number => checksum([crcExtra], checksum(checked));

function signatureAt(view: DataView, at: number): Signature {
  const time = view.getUint32(at + 1, true) + view.getUint16(at + 5, true) * 2 ** 32;
  const mac = Uint8Array.from({ length: macBytes }, (_unused, index) => view.getUint8(at + 7 + index));
  return { link: view.getUint8(at), time, mac };
}

/** Replays are told by the time, which only grows in each stream of system, component and link. */
function isTrusted(whole: Uint8Array, signature: Signature | undefined, key: Uint8Array, isNew: IsNew): boolean {
  if (!signature?.mac) return false;
  if (!timingSafeEqual(macOf(whole.subarray(0, whole.length - macBytes), key), signature.mac)) return false;
  return isNew(`${whole[5]}.${whole[6]}.${signature.link}`, signature.time);
}

/** The first 48 bits of SHA-256 over key, frame, link and time. */
const macOf = (signed: Uint8Array, key: Uint8Array): Uint8Array =>
  createHash('sha256').update(key).update(signed).digest().subarray(0, macBytes);

function encode({ sequence, system, component, message, signature }: Packet, key: Uint8Array | undefined): Uint8Array {
  const layout = layoutByName[message.name];
  const payload = trimmed(write(layout, message.fields));
  const bytes = new Uint8Array(headerBytes + payload.length + crcBytes + (signature ? signatureBytes : 0));
  const { id } = layout;
  bytes.set([start, payload.length, signature ? isSigned : 0, 0, sequence, system, component]);
  bytes.set([id & 0xff, (id >> 8) & 0xff, id >> 16], 7);
  bytes.set(payload, headerBytes);
  const view = viewOf(bytes);
  const checked = headerBytes + payload.length;
  view.setUint16(checked, crcOf(bytes.subarray(1, checked), layout.crcExtra), true);
  if (!signature) return bytes;
  const at = checked + crcBytes;
  view.setUint8(at, signature.link);
  view.setUint32(at + 1, signature.time % 2 ** 32, true);
  view.setUint16(at + 5, Math.floor(signature.time / 2 ** 32), true);
  const mac = signature.mac ?? (key ? macOf(bytes.subarray(0, at + 7), key) : undefined);
  if (mac) bytes.set(mac, at + 7);
  return bytes;
}

/** All but its first byte may go. */
function trimmed(payload: Uint8Array): Uint8Array {
  let length = payload.length;
  while (length > 1 && payload[length - 1] === 0) length -= 1;
  return payload.subarray(0, length);
}

function read({ places, bytes }: Layout, payload: Uint8Array): Record<string, unknown> {
  const whole = new Uint8Array(bytes);
  // longer than known: fields of a later edition
  whole.set(payload.subarray(0, bytes));
  const view = viewOf(whole);
  return Object.fromEntries(places.map((place) => [place.name, readPlace(view, place)]));
}

function readPlace(view: DataView, { type, length, offset }: Place): unknown {
  if (type === 'char') return textAt(view, offset, length ?? 1);
  if (length === undefined) return scalars[type].read(view, offset);
  return Array.from({ length }, (_unused, index) => scalars[type].read(view, offset + index * sizes[type]));
}

function textAt(view: DataView, offset: number, length: number): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end < 0 ? length : end).toString('latin1');
}

function write({ places, bytes }: Layout, fields: Readonly<Record<string, unknown>>): Uint8Array {
  const whole = new Uint8Array(bytes);
  const view = viewOf(whole);
  for (const { name, type, length, offset } of places) {
    const value = fields[name];
    if (type === 'char') whole.set(Buffer.from(value as string, 'latin1').subarray(0, length), offset);
    else if (length === undefined) scalars[type].write(view, offset, value as never);
    else {
      (value as readonly number[])
        .slice(0, length)
        .forEach((each, index) => scalars[type].write(view, offset + index * sizes[type], each as never));
    }
  }
  return whole;
}

interface ScalarCodec<T> {
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

const scalars = {
  uint8_t: { read: (view, at) => view.getUint8(at), write: (view, at, value) => view.setUint8(at, value) },
  int8_t: { read: (view, at) => view.getInt8(at), write: (view, at, value) => view.setInt8(at, value) },
  uint16_t: {
    read: (view, at) => view.getUint16(at, true),
    write: (view, at, value) => view.setUint16(at, value, true),
  },
  int16_t: { read: (view, at) => view.getInt16(at, true), write: (view, at, value) => view.setInt16(at, value, true) },
  uint32_t: {
    read: (view, at) => view.getUint32(at, true),
    write: (view, at, value) => view.setUint32(at, value, true),
  },
  int32_t: { read: (view, at) => view.getInt32(at, true), write: (view, at, value) => view.setInt32(at, value, true) },
  float: {
    read: (view, at) => view.getFloat32(at, true),
    write: (view, at, value) => view.setFloat32(at, value, true),
  },
  uint64_t: {
    read: (view, at) => view.getBigUint64(at, true).toString(16).padStart(16, '0'),
    write: (view, at, value) => view.setBigUint64(at, BigInt(`0x${value}`), true),
  },
} as const satisfies Readonly<Record<Exclude<Place['type'], 'char' | 'uint64_t'>, ScalarCodec<number>>> & {
  readonly uint64_t: ScalarCodec<string>;
};

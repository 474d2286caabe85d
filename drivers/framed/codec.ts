/**
 * A frame as the configuration says it.
 *
 *   start | length | body | check | end       or  … | body | end | check
 *
 * How long the body is, is told by the length field, else by which message it is, else by the end bytes.
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';
import { checkSize, checkValue } from './check.ts';
import { parseTemplate, templateSize } from './fields.ts';
import type { Frame, Options } from './manifest.ts';

export interface Body {
  readonly body: Uint8Array;
}

/** What a body may be, to tell its size from its first bytes. */
interface Shape {
  readonly match: readonly { readonly at: number; readonly bytes: readonly number[] }[];
  readonly size: number | undefined;
}

const bytesOf = (hex: string): readonly number[] => [...Buffer.from(hex.replace(/\s+/g, ''), 'hex')];

export const hostCodec = ({ frame: layout, messages }: Options): Codec<Body, Body> =>
  codec(
    layout,
    messages.map(({ match, size }) => ({ match: match.map(({ at, hex }) => ({ at, bytes: bytesOf(hex) })), size })),
  );

export const deviceCodec = ({ frame: layout, requests }: Options): Codec<Body, Body> =>
  codec(
    layout,
    requests.map(({ body }) => shapeOf(body)),
  );

function shapeOf(template: string): Shape {
  const parts = parseTemplate(template) ?? [];
  const match: { at: number; bytes: readonly number[] }[] = [];
  let at = 0;
  for (const part of parts) {
    if (part.is === 'bytes') match.push({ at, bytes: part.bytes });
    const size = templateSize([part]);
    if (size === undefined) break;
    at += size;
  }
  return { match, size: templateSize(parts) };
}

function codec(layout: Frame, shapes: readonly Shape[]): Codec<Body, Body> {
  const start = bytesOf(layout.start);
  const end = bytesOf(layout.end);
  return framing<Body, Body>({
    limit: layout.limit,
    ...(start[0] === undefined ? {} : { begins: (byte: number) => byte === start[0] }),
    look: (window) => look(window, layout, start, end, shapes),
    encode: ({ body }) => encode(body, layout, start, end),
  });
}

function look(
  window: Uint8Array,
  layout: Frame,
  start: readonly number[],
  end: readonly number[],
  shapes: readonly Shape[],
): Look<Body> {
  for (const [index, byte] of start.entries()) {
    if (window[index] === undefined) return open;
    if (window[index] !== byte) return bad(1, 'garbage');
  }
  const bodyAt = start.length + layout.length.size;
  if (window.length < bodyAt) return open;
  const size = bodySize(window, bodyAt, layout, end, shapes);
  if (size === 'open') return open;
  if (size === 'none') return bad(1, 'malformed');
  const tail = checkSize(layout.check.kind) + end.length;
  const whole = bodyAt + size + tail;
  if (whole > layout.limit) return bad(1, 'malformed');
  if (window.length < whole) return open;
  const body = window.slice(bodyAt, bodyAt + size);
  const checked = checkSize(layout.check.kind);
  const endAt = bodyAt + size + (layout.check.afterEnd ? 0 : checked);
  if (!end.every((byte, index) => window[endAt + index] === byte)) return bad(1, 'malformed');
  const checkAt = bodyAt + size + (layout.check.afterEnd ? end.length : 0);
  const value = checkOf(window.subarray(0, checkAt), layout, start.length, bodyAt);
  const isBig = layout.check.order === 'big';
  let isSound = true;
  for (let index = 0; index < checked; index += 1)
    isSound &&= window[checkAt + index] === checkByte(value, index, checked, isBig);
  return isSound ? frame(whole, { body }) : bad(1, 'checksum');
}

function checkOf(before: Uint8Array, { check }: Frame, lengthAt: number, bodyAt: number): number {
  const from = check.covers === 'all' ? 0 : check.covers === 'length' ? lengthAt : bodyAt;
  return checkValue(check.kind, from === 0 ? before : before.subarray(from));
}

/** The byte of a check value that stands at `index`. */
const checkByte = (value: number, index: number, size: number, isBig: boolean): number =>
  (value >>> ((isBig ? size - 1 - index : index) * 8)) & 0xff;

function bodySize(
  window: Uint8Array,
  bodyAt: number,
  layout: Frame,
  end: readonly number[],
  shapes: readonly Shape[],
): number | 'open' | 'none' {
  if (layout.length.size > 0) return lengthOf(window, bodyAt, layout);
  let isOpen = false;
  for (const { match, size } of shapes) {
    const fit = fits(window, bodyAt, match);
    if (fit === 'no') continue;
    if (fit === 'open') isOpen = true;
    else if (size !== undefined) return size;
    else return untilEnd(window, bodyAt, layout, end);
  }
  return isOpen ? 'open' : 'none';
}

function lengthOf(window: Uint8Array, bodyAt: number, { length: { size, order, adds } }: Frame): number | 'none' {
  const field = window.subarray(bodyAt - size, bodyAt);
  const value = (order === 'little' ? field.toReversed() : field).reduce((sum, byte) => sum * 256 + byte, 0);
  return value >= adds ? value - adds : 'none';
}

function fits(window: Uint8Array, bodyAt: number, match: Shape['match']): 'yes' | 'no' | 'open' {
  let answer: 'yes' | 'open' = 'yes';
  for (const { at, bytes } of match) {
    for (const [index, byte] of bytes.entries()) {
      const found = window[bodyAt + at + index];
      if (found === undefined) answer = 'open';
      else if (found !== byte) return 'no';
    }
  }
  return answer;
}

function untilEnd(window: Uint8Array, bodyAt: number, { check }: Frame, end: readonly number[]): number | 'open' {
  if (end.length === 0) return 'open';
  const checked = check.afterEnd ? 0 : checkSize(check.kind);
  for (let at = bodyAt + checked; at + end.length <= window.length; at += 1) {
    if (end.every((byte, index) => window[at + index] === byte)) return at - bodyAt - checked;
  }
  return 'open';
}

function encode(body: Uint8Array, layout: Frame, start: readonly number[], end: readonly number[]): Uint8Array {
  const { length, check } = layout;
  const bodyAt = start.length + length.size;
  const checked = checkSize(check.kind);
  const bytes = new Uint8Array(bodyAt + body.length + checked + end.length);
  bytes.set(start);
  const counted = body.length + length.adds;
  if (length.size === 1) bytes[start.length] = counted;
  if (length.size === 2) new DataView(bytes.buffer).setUint16(start.length, counted, length.order === 'little');
  bytes.set(body, bodyAt);
  const checkAt = bodyAt + body.length + (check.afterEnd ? end.length : 0);
  bytes.set(end, bodyAt + body.length + (check.afterEnd ? 0 : checked));
  const value = checkOf(bytes.subarray(0, checkAt), layout, start.length, bodyAt);
  for (let index = 0; index < checked; index += 1)
    bytes[checkAt + index] = checkByte(value, index, checked, check.order === 'big');
  return bytes;
}

/**
 * A piece of evidence as events of lane `media`: parts of 64 KiB, so that what is higher never waits long, and an
 * upload goes on where it was after any cut; a part is an event like all others.
 *
 *   bytes --> [0..64 KiB) [64..128 KiB) ... each with id, sha256 and size of the whole --> sink: joined, checked
 */
import { createHash } from 'node:crypto';
import type { Event } from '#agent/domain/event.ts';

export const chunkBytes = 64 * 1024;
const mostChunks = 1_024;

export interface Piece {
  readonly id: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Such as `camera/front`. */
  readonly subject: string;
  readonly wallMs: number;
  readonly monoMs: number;
}

/** @returns nothing for what is empty, or larger than 64 MiB */
export function mediaEvents({ id, mediaType, bytes, subject, wallMs, monoMs }: Piece): readonly Event[] {
  const chunks = Math.ceil(bytes.byteLength / chunkBytes);
  if (chunks > mostChunks) return [];
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: chunks }, (_none, chunk): Event => {
    const content = whole.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes).toString('base64');
    const data = { id, mediaType, sha256, size: bytes.byteLength, chunk, chunks, content };
    return { kind: 'media', lane: 'media', subject, wallMs, monoMs, data };
  });
}

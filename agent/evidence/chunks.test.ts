import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeEvent } from '#agent/domain/cloudevent.ts';
import { eventData } from '#agent/domain/event.ts';
import { chunkBytes, mediaEvents } from './chunks.ts';

const piece = (bytes: Uint8Array) => ({
  id: 'front-12-1',
  mediaType: 'image/jpeg',
  bytes,
  subject: 'camera/front',
  wallMs: 0,
  monoMs: 1,
});

it('joins to what it was, whatever its size', () => {
  const sizes = fc.integer({ min: 1, max: 5 * chunkBytes });
  fc.assert(
    fc.property(sizes, fc.integer(), (size, seed) => {
      const bytes = Buffer.alloc(size, `${seed}`);
      const data = mediaEvents(piece(bytes)).map((event) => eventData.media.parse(event.data));
      const joined = Buffer.concat(data.map(({ content }) => Buffer.from(content, 'base64')));
      expect(joined.equals(bytes)).toBe(true);
      expect(data.map(({ chunk }) => chunk)).toEqual(data.map((_part, index) => index));
      expect(new Set(data.map(({ sha256 }) => sha256))).toEqual(
        new Set([createHash('sha256').update(bytes).digest('hex')]),
      );
    }),
    {
      examples: [
        [chunkBytes, 0],
        [chunkBytes + 1, 1],
        [1, 2],
      ],
      numRuns: 30,
    },
  );
});

it('makes parts that every broker takes, and none of what is empty or far too large', () => {
  const [first] = mediaEvents(piece(Buffer.alloc(chunkBytes)));
  if (!first) throw new Error('no part');
  const { middle, tail } = encodeEvent(first, { device: 'robot-07', epoch: 'e'.repeat(32), boot: 1 }, 'synced');
  expect(middle.length + tail.length).toBeLessThan(100_000);
  expect(mediaEvents(piece(new Uint8Array()))).toEqual([]);
  expect(mediaEvents(piece(new Uint8Array(1_024 * chunkBytes + 1)))).toEqual([]);
});

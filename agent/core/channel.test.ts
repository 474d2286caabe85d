/** Messages between processes: whole or refused, whatever the pipe does to them. */
import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel, MessageDecoder } from './channel.ts';
import { OutpostError } from './errors.ts';

function written(send: (channel: Channel<unknown, unknown>) => void): Buffer {
  const stream = new PassThrough();
  send(new Channel(stream, { maxBytes: 1 << 20 }));
  return (stream.read() as Buffer | null) ?? Buffer.alloc(0);
}

describe('a channel', () => {
  it('gives the same messages however the stream is cut', () => {
    const bytes = Buffer.concat([
      written((channel) => channel.send({ a: 1 })),
      written((channel) => channel.send({ b: 'ü' }, Buffer.from([1, 2, 3]))),
      written((channel) => channel.send([])),
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const decoder = new MessageDecoder<unknown>(1 << 20);
        const edges = [0, ...cuts.sort((x, y) => x - y), bytes.length];
        const messages = edges.slice(1).flatMap((end, index) => [...decoder.push(bytes.subarray(edges[index], end))]);
        expect(messages.map(({ body }) => body)).toEqual([{ a: 1 }, { b: 'ü' }, []]);
        expect(messages[1]?.blob).toEqual(Buffer.from([1, 2, 3]));
      }),
    );
  });

  it('refuses a message over its limit before it is there', () => {
    const decoder = new MessageDecoder<unknown>(1_000);
    const header = Buffer.alloc(8);
    header.writeUInt32LE(4_000_000_000, 0);
    expect(() => [...decoder.push(header)]).toThrow(expect.objectContaining({ code: 'message-too-large' }));
  });

  it('refuses what is no JSON', () => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(3, 0);
    const decoder = new MessageDecoder<unknown>(1_000);
    expect(() => [...decoder.push(Buffer.concat([header, Buffer.from('{x}')]))]).toThrow(OutpostError);
  });

  it('ends quietly when the peer is gone, and swallows what is sent after', async () => {
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done(new Error('EPIPE'));
      },
    });
    const channel = new Channel(stream, { maxBytes: 1_000 });
    channel.send({ a: 1 });
    await new Promise((resolve) => stream.once('close', resolve));
    expect(() => channel.send({ a: 2 })).not.toThrow();
    expect(stream.destroyed).toBe(true);
  });
});

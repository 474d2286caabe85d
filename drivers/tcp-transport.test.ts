/** A line behind TCP: bytes, hang-ups, nobody there, and an end that takes nothing. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { systemClock as clock } from '#agent/core/clock.ts';
import type { OutpostError } from '#agent/core/errors.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { openTcp } from './tcp-transport.ts';
import type { Transport } from './transport.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function pair(): Promise<{
  readonly transport: Transport;
  readonly far: Socket;
  readonly heard: number[];
  readonly ends: (OutpostError | undefined)[];
}> {
  const server = createServer().listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const accepted = once(server, 'connection');
  const transport = await openTcp('127.0.0.1', port, clock);
  const [far] = (await accepted) as [Socket];
  far.on('error', () => undefined);
  const heard: number[] = [];
  const ends: (OutpostError | undefined)[] = [];
  transport.attach({ onBytes: (bytes) => heard.push(...bytes), onClosed: (error) => ends.push(error) });
  return { transport, far, heard, ends };
}

it('carries bytes both ways', async () => {
  const { transport, far, heard } = await pair();
  await transport.write(Uint8Array.of(1, 2, 3));
  expect([...((await once(far, 'data')) as [Buffer])[0]]).toEqual([1, 2, 3]);
  far.write(Uint8Array.of(4, 5));
  await eventually(() => heard.length === 2, 'two bytes');
  expect(heard).toEqual([4, 5]);
  await transport[Symbol.asyncDispose]();
});

it('sees the other end go, once, and takes nothing after', async () => {
  const { transport, far, ends } = await pair();
  far.destroy();
  await eventually(() => !transport.isOpen, 'the end');
  await transport[Symbol.asyncDispose]();
  expect(ends).toMatchObject([{ code: 'port-lost' }]);
  await expect(transport.write(Uint8Array.of(1))).rejects.toMatchObject({ code: 'port-lost' });
});

it('is reset when it is closed, so that nothing unsent follows', async () => {
  const { transport, far } = await pair();
  await transport[Symbol.asyncDispose]();
  await eventually(() => far.destroyed, 'the reset');
  expect(transport.isOpen).toBe(false);
});

it('gives up on an end that takes no bytes', async () => {
  const { transport, far } = await pair();
  far.pause();
  const writing = (async () => {
    for (;;) {
      await transport.write(new Uint8Array(65_536));
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await expect(writing).rejects.toMatchObject({ code: 'port-stuck' });
  expect(transport.isOpen).toBe(false);
});

it('says that nobody answers, and can be aborted', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  server.close();
  await once(server, 'close');
  await expect(openTcp('127.0.0.1', port, clock)).rejects.toMatchObject({ code: 'port-missing' });
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  await expect(openTcp('127.0.0.1', port, clock, stop.signal)).rejects.toThrow('stopped');
});

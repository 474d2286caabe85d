/**
 * A pipe from a child process whose bytes the kernel writes straight into the frames' own memory.
 *
 *   child's stdout = far end of a socket pair --read(2)--> FrameAssembler.target()
 *
 * Node's own pipes make a new 64 KiB buffer for every read, and at hundreds of frames a second collecting those costs
 * more than everything else here. `onread` of node:net does not, but only on sockets that we connect ourselves.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';

export interface PipeReader {
  /** Where the next bytes shall go; never empty. */
  target(): Uint8Array;
  /** `count` bytes lie at the start of `into`, which was the target of some time before. @returns whether to read on */
  accept(count: number, into: Uint8Array): boolean;
}

export interface FramePipe {
  /** Ours: `resume()` after `accept` said no; `close` when the far end is gone. */
  readonly near: Socket;
  /** The child's stdout; to be destroyed here once the child has it. */
  readonly far: Socket;
}

/**
 * Linux only: an abstract socket, which leaves nothing on the disk and needs no room there. Whoever connects must know
 * what only we do, so that nobody else on this machine gets the picture.
 */
export async function openFramePipe(reader: PipeReader): Promise<FramePipe> {
  const path = `\0outpost-${randomBytes(16).toString('hex')}`;
  const proof = randomBytes(16);
  const server = createServer().listen(path);
  await once(server, 'listening');
  const ours = ourConnection(server, proof);
  const near = connect({
    path,
    onread: { buffer: () => reader.target(), callback: (count, into) => reader.accept(count, into) },
  });
  near.on('error', () => undefined);
  near.write(proof);
  const far = await ours;
  server.close();
  return { near, far };
}

async function ourConnection(server: Server, proof: Buffer): Promise<Socket> {
  const sockets = new Set<Socket>();
  const ours = await new Promise<Socket>((resolve, reject) => {
    server.once('error', reject);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', (said) => {
        if (said.equals(proof)) resolve(socket.pause());
      });
    });
  });
  sockets.delete(ours);
  for (const stranger of sockets) stranger.destroy();
  return ours;
}

/**
 * A line of a given rate before a broker. Each connection has a line of its own, as it has before a router that queues
 * fairly, or all share one in the order of arrival.
 *
 *   client -- bytes wait until the line before them is free --> broker        and the same way back
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '#agent/core/clock.ts';

/** What a socket may hand over before it is paused: the buffer of a router. */
const mostQueuedBytes = 256 * 1_024;
/** One Ethernet frame's worth is on the line at a time. */
const pieceBytes = 1_460;

export class SlowLine implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(port: number, server: Server, sockets: Set<Socket>) {
    this.port = port;
    this.#server = server;
    this.#sockets = sockets;
  }

  /** @param bytesPerSecond in each direction */
  static async before(brokerPort: number, bytesPerSecond: number, isShared: boolean): Promise<SlowLine> {
    const sockets = new Set<Socket>();
    const shared = [new Lane(bytesPerSecond), new Lane(bytesPerSecond)] as const;
    const server = createServer((client) => {
      const broker = connect({ port: brokerPort, host: '127.0.0.1', noDelay: true });
      const [up, down] = isShared ? shared : [new Lane(bytesPerSecond), new Lane(bytesPerSecond)];
      up.carry(client, broker);
      down.carry(broker, client);
      for (const socket of [client, broker]) {
        sockets.add(socket);
        socket.setNoDelay(true).on('error', () => undefined);
        socket.on('close', () => {
          sockets.delete(socket);
          client.destroy();
          broker.destroy();
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SlowLine((server.address() as AddressInfo).port, server, sockets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface Piece {
  readonly from: Socket;
  readonly to: Socket;
  readonly bytes: Buffer;
}

/** One direction: pieces in the order of their arrival. */
class Lane {
  readonly #bytesPerMs: number;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  #freeMonoMs = 0;
  #isRunning = false;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  carry(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        this.#queue.push({ from, to, bytes: chunk.subarray(at, at + pieceBytes) });
      }
      this.#queuedBytes += chunk.length;
      if (this.#queuedBytes > mostQueuedBytes) from.pause();
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let piece = this.#queue.shift(); piece; piece = this.#queue.shift()) {
      this.#freeMonoMs = Math.max(this.#freeMonoMs, systemClock.monoMs()) + piece.bytes.length / this.#bytesPerMs;
      const waitMs = this.#freeMonoMs - systemClock.monoMs();
      if (waitMs >= 1) await systemClock.sleep(waitMs);
      this.#queuedBytes -= piece.bytes.length;
      if (piece.to.writable) piece.to.write(piece.bytes);
      if (this.#queuedBytes <= mostQueuedBytes) piece.from.resume();
    }
    this.#isRunning = false;
  }
}

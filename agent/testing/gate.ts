/** A TCP proxy that can stop passing what the client says, with both connections open: the line that is half dead. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';

export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #closed = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(targetPort: number): Promise<Gate> {
    const server = createServer();
    const gate = new Gate(server);
    server.on('connection', (client) => {
      const target = createConnection({ port: targetPort, host: '127.0.0.1' });
      client.on('data', (bytes) => {
        if (!gate.#closed) target.write(bytes);
      });
      target.on('data', (bytes) => client.write(bytes));
      for (const [one, other] of [
        [client, target],
        [target, client],
      ] as const) {
        gate.#sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          gate.#sockets.delete(one);
          other.destroy();
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on what clients say is lost; what they are told arrives. */
  swallow(): void {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/**
 * What stands between one device and the broker, so that its line can be cut: a TCP proxy on loopback.
 *
 *   device -> 127.0.0.1:port -> broker        shut: every connection is cut, and each new one at once
 */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { OutpostError } from '#agent/core/errors.ts';

const defaultPorts: Readonly<Record<string, number>> = { 'mqtt:': 1_883, 'ws:': 80 };

export class Gate implements AsyncDisposable {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isShut = false;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => this.#connect(client));
  }

  /** @throws OutpostError `config-invalid` for an address with TLS: no certificate names the gate */
  static async open(brokerUrl: string): Promise<Gate> {
    const target = URL.parse(brokerUrl);
    if (!target || defaultPorts[target.protocol] === undefined) {
      throw new OutpostError('config-invalid', 'Outages can be made on the way to mqtt:// and ws:// alone.', {
        hint: 'Leave --outages out, or take a listener of the broker without TLS.',
      });
    }
    const gate = new Gate(target);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  /** The broker's address by way of this gate. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  shut(isShut: boolean): void {
    if (isShut && !this.#isShut) for (const socket of this.#sockets) socket.destroy();
    this.#isShut = isShut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(client: Socket): void {
    if (this.#isShut) {
      client.destroy();
      return;
    }
    const { hostname, port, protocol } = this.#target;
    const broker = createConnection({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (defaultPorts[protocol] ?? 0) : Number(port),
      noDelay: true,
    });
    client.setNoDelay(true);
    client.pipe(broker);
    broker.pipe(client);
    this.#keep(client, broker);
    this.#keep(broker, client);
  }

  #keep(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => other.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      other.destroy();
    });
  }
}

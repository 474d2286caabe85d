/** A server for pictures, over TLS with an authority of the tests' own: takes PUTs, or misbehaves as it is told. */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Issued } from './certificates.ts';

export interface Stored {
  readonly path: string;
  readonly bytes: Buffer;
  readonly headers: IncomingMessage['headers'];
}

export class PictureServer implements AsyncDisposable {
  readonly stored: Stored[] = [];
  /** Requests that have come so far. */
  requests = 0;
  /** What is done instead of storing; undefined: it is stored. */
  misbehave: ((request: IncomingMessage, response: ServerResponse, count: number) => void) | undefined;
  /** Requests that are still stored before it misbehaves. */
  goodRequests = 0;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new Set<Socket>();

  private constructor({ certificate, key }: Issued, ca: string | undefined) {
    const listener: RequestListener = (request, response) => void this.#serve(request, response);
    const mutual = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
    this.#server = createServer({ cert: certificate, key, ...mutual }, listener);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param ca of the clients; absent: none needs a certificate */
  static async start(issued: Issued, port = 0, ca?: string): Promise<PictureServer> {
    const server = new PictureServer(issued, ca);
    server.#server.listen(port, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}/pictures`;
  }

  get paths(): string[] {
    return this.stored.map(({ path }) => path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    request.on('error', () => undefined);
    if (this.misbehave && this.requests > this.goodRequests) {
      this.misbehave(request, response, this.requests);
      return;
    }
    const bytes = await bodyOf(request);
    if (!bytes) return;
    const digest = `sha-256=:${hash('sha256', bytes, 'base64')}:`;
    if (request.headers['repr-digest'] !== digest || request.method !== 'PUT') {
      response.writeHead(400).end();
      return;
    }
    this.stored.push({ path: request.url ?? '', bytes, headers: request.headers });
    response.writeHead(201).end();
  }
}

/** @returns undefined when it was cut */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
    return Buffer.concat(parts);
  } catch {
    return undefined;
  }
}

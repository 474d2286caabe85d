/** A serial line behind a TCP socket, its bytes as they are (ser2net in raw mode, a serial device server). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, type OutpostError, systemCode } from '#agent/core/errors.ts';
import { portError, type Transport, TransportBase } from './transport.ts';

const connectMs = 5_000;
/** A cut cable is noticed by the kernel within this and its three probes; a silent device by the watchdog on frames. */
const keepAliveMs = 10_000;
/** What waits unsent beyond this is no line any more. */
const mostUnsent = 65_536;

/** @throws OutpostError `port-missing` when nobody answers there; the signal's reason */
export async function openTcp(host: string, port: number, clock: Clock, signal?: AbortSignal): Promise<Transport> {
  const name = `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
  signal?.throwIfAborted();
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  const waiting = new AbortController();
  using _listening = signal ? onAbort(signal, () => waiting.abort(signal.reason)) : undefined;
  void clock.sleep(connectMs, waiting.signal).then(
    () => waiting.abort(new Error(`no connection within ${connectMs} ms`)),
    () => undefined,
  );
  try {
    await once(socket, 'connect', { signal: waiting.signal });
    return new TcpTransport(name, socket);
  } catch (thrown) {
    socket.on('error', () => undefined).destroy();
    signal?.throwIfAborted();
    const cause: unknown = waiting.signal.aborted ? waiting.signal.reason : thrown;
    throw portError('port-missing', name, `nobody answers (${systemCode(cause) ?? messageOf(cause)}).`, cause);
  } finally {
    waiting.abort();
  }
}

/** Also what a server accepts: the double of a device behind TCP. */
export class TcpTransport extends TransportBase {
  readonly #socket: Socket;

  constructor(name: string, socket: Socket) {
    super(name);
    this.#socket = socket;
    socket.on('data', (bytes: Uint8Array) => this.arrived(bytes));
    socket.on('error', (cause) =>
      this.#end(
        portError('port-lost', name, `the connection broke (${systemCode(cause) ?? messageOf(cause)}).`, cause),
      ),
    );
    socket.on('close', () => this.#end(portError('port-lost', name, 'the other end closed the connection.')));
    socket.on('end', () => this.#end(portError('port-lost', name, 'the other end closed the connection.')));
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.isOpen) throw this.refusal();
    if (this.#socket.writableLength > mostUnsent) {
      const error = portError('port-stuck', this.name, 'it takes no more bytes.');
      this.#end(error);
      throw error;
    }
    this.#socket.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(undefined);
  }

  /** Reset, not closed in order: what is unsent was meant for a connection that is over. */
  #end(error: OutpostError | undefined): void {
    if (this.closeOnce(error)) this.#socket.resetAndDestroy();
  }
}

/**
 * A way to the other end that carries bytes: a serial port, a TCP connection, or memory. It lives once: after a loss
 * another one is opened, with another epoch, and nothing that was meant for the old one is ever written to it.
 *
 *   opening --attach--> bytes ... --hang-up, error, dispose--> closed, for ever
 */
import { OutpostError } from '#agent/core/errors.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';

/** One opening. Ascends within a process, and is never given twice. */
export type Epoch = number;

let lastEpoch: Epoch = 0;
/** The next one of this process. */
export const nextEpoch = (): Epoch => (lastEpoch += 1);

export interface TransportListener {
  /** @param bytes belong to the listener for the length of the call alone */
  onBytes(bytes: Uint8Array): void;
  /** Once, at the end, whoever caused it; undefined: disposed by us. */
  onClosed(error: OutpostError | undefined): void;
}

export interface Transport extends AsyncDisposable {
  readonly epoch: Epoch;
  /** For people: `/dev/ttyUSB0`, `tcp://10.0.0.5:2001`. */
  readonly name: string;
  readonly isOpen: boolean;
  /** Exactly one listener; what came before it waits, in bounded memory. */
  attach(listener: TransportListener): void;
  /**
   * Resolves when the system has taken every byte.
   * @throws OutpostError `port-lost` when it is closed; `port-stuck` when the bytes are not taken within the limit,
   * after which the transport is closed: what was taken of them is not known
   */
  write(bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}

/** What every kind of transport shares: one listener, one end. */
export abstract class TransportBase implements Transport {
  readonly epoch = nextEpoch();
  readonly name: string;
  #listener: TransportListener | undefined;
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #closed: { readonly error: OutpostError | undefined } | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  attach(listener: TransportListener): void {
    this.#listener = listener;
    for (const bytes of this.#early.splice(0)) listener.onBytes(bytes);
    if (this.#closed) listener.onClosed(this.#closed.error);
  }

  abstract write(bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  abstract [Symbol.asyncDispose](): Promise<void>;

  protected arrived(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    if (this.#listener) this.#listener.onBytes(bytes);
    else if (this.#earlyBytes < mostEarlyBytes) {
      this.#earlyBytes += bytes.length;
      this.#early.push(bytes.slice());
    }
  }

  /** @returns false when it was closed before */
  protected closeOnce(error: OutpostError | undefined): boolean {
    if (this.#closed) return false;
    this.#closed = { error };
    this.#listener?.onClosed(error);
    return true;
  }

  /** What a write on a closed transport is answered with. */
  protected refusal(): OutpostError {
    return new OutpostError('port-lost', `${this.name} is closed.`, { cause: this.#closed?.error });
  }
}

const mostEarlyBytes = 65_536;

export const portError = (code: ErrorCode, name: string, detail: string, cause?: unknown): OutpostError =>
  new OutpostError(code, `${name}: ${detail}`, { context: { port: name }, cause });

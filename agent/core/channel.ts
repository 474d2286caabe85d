/**
 * Messages between processes over a pipe, bounded on the way in, so that a broken peer cannot harm the reader.
 *
 *   [u32 json bytes][u32 blob bytes][json][blob]   little endian
 */
import type { Duplex } from 'node:stream';
import { OutpostError } from './errors.ts';

export interface Message<T> {
  readonly body: T;
  /** Bytes that go along as they are, such as a JPEG. */
  readonly blob: Buffer | undefined;
}

export interface ChannelOptions {
  /** The largest message that is read, header included. */
  readonly maxBytes: number;
}

const headerBytes = 8;

export class Channel<Out, In> {
  readonly #stream: Duplex;
  readonly #maxBytes: number;

  constructor(stream: Duplex, options: ChannelOptions) {
    this.#stream = stream;
    this.#maxBytes = options.maxBytes;
    // A peer that is gone shows as the end of messages(); a write to it must not end this process.
    stream.on('error', () => undefined);
  }

  /** Bytes that the peer has not taken yet. */
  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  send(body: Out, blob?: Uint8Array): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    const json = Buffer.from(JSON.stringify(body));
    const header = Buffer.allocUnsafe(headerBytes);
    header.writeUInt32LE(json.length, 0);
    header.writeUInt32LE(blob?.length ?? 0, 4);
    this.#stream.write(blob ? Buffer.concat([header, json, blob]) : Buffer.concat([header, json]));
  }

  /**
   * Yields until the peer closes the pipe.
   * @throws OutpostError `message-too-large`, `message-garbled`
   */
  async *messages(): AsyncGenerator<Message<In>, void, undefined> {
    const decoder = new MessageDecoder<In>(this.#maxBytes);
    for await (const chunk of this.#stream as AsyncIterable<Buffer>) yield* decoder.push(chunk);
  }

  /** Resolves when the peer has taken nearly all, or is gone. */
  async drained(): Promise<void> {
    if (!this.#stream.writableNeedDrain || this.#stream.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stream.off('drain', done).off('close', done);
        resolve();
      };
      this.#stream.on('drain', done).on('close', done);
    });
  }

  /** Says nothing more; resolves when all that was said has left. */
  async end(): Promise<void> {
    if (this.#stream.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.end(resolve);
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** Bytes in, whole messages out. */
export class MessageDecoder<T> {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *push(chunk: Buffer): Generator<Message<T>, void, undefined> {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= headerBytes) {
      const header = this.#peek(headerBytes);
      const jsonBytes = header.readUInt32LE(0);
      const total = headerBytes + jsonBytes + header.readUInt32LE(4);
      if (total > this.#maxBytes) {
        throw new OutpostError(
          'message-too-large',
          `A message of ${total} bytes is over the limit of ${this.#maxBytes}.`,
        );
      }
      if (this.#size < total) return;
      const message = this.#peek(total).subarray(0, total);
      this.#drop(total);
      yield decode<T>(message, jsonBytes);
    }
  }

  #peek(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first && first.length >= bytes) return first;
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Buffer;
  }

  #drop(bytes: number): void {
    const rest = this.#peek(bytes).subarray(bytes);
    this.#chunks = rest.length > 0 ? [rest, ...this.#chunks.slice(1)] : this.#chunks.slice(1);
    this.#size -= bytes;
  }
}

function decode<T>(message: Buffer, jsonBytes: number): Message<T> {
  const blob = message.subarray(headerBytes + jsonBytes);
  try {
    const body = JSON.parse(message.toString('utf8', headerBytes, headerBytes + jsonBytes)) as T;
    return { body, blob: blob.length > 0 ? Buffer.from(blob) : undefined };
  } catch (cause) {
    throw new OutpostError('message-garbled', undefined, { cause });
  }
}

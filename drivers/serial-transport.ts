/**
 * A serial port: serialport's binding sets the line and holds the lock, a stream of our own reads.
 *
 *   binding fd (flock, TIOCEXCL, termios) --writeSync--> tty --tty.ReadStream on a second fd--> bytes, hang-up
 *
 * The second descriptor has two reasons. libuv's reading sees every hang-up, which the binding's poller misses now and
 * then; and libuv opens the terminal anew over the descriptor it is given, which would drop the binding's lock.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { SerialPort } from 'serialport';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';
import type { LineNeeds } from './driver.ts';
import { isKernelPort, refuseOthers } from './exclusive.ts';
import { type Holder, holdersOf } from './port.ts';
import { portError, type Transport, TransportBase } from './transport.ts';

export type SerialLine = Pick<LineNeeds, 'baudRate' | 'dataBits' | 'parity' | 'stopBits' | 'lowLatency'>;

/** The binding that `serialport` chose for this platform. */
type Binding = Awaited<ReturnType<typeof SerialPort.binding.open>>;

/** Start, data, parity and stop bits: what a byte takes on the line. */
export const byteMs = ({ baudRate, dataBits, parity, stopBits }: Omit<SerialLine, 'lowLatency'>): number =>
  ((1 + dataBits + (parity === 'none' ? 0 : 1) + stopBits) * 1_000) / baudRate;

/** Beyond what the bytes take on the line. */
const writeGraceMs = 2_000;

/**
 * @param isAlone the kernel is to refuse every other opening, also of who asks for no lock
 * @throws OutpostError `port-missing`, `port-denied`, `port-busy` with who holds it, `port-unusable`
 */
export async function openSerial(
  path: string,
  line: SerialLine,
  clock: Clock,
  isAlone = isKernelPort(path),
): Promise<Transport> {
  await refuseHeld(path);
  const binding = await openBinding(path, line);
  const fd = (binding as unknown as { readonly fd: number | null }).fd;
  if (fd === null) throw portError('port-unusable', path, 'it closed while it was opened.');
  try {
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
    const stream = streamOf(readFd);
    const alone = isAlone ? refuseOthers(fd) : undefined;
    return new SerialTransport({ path, binding, fd, stream, alone, perByteMs: byteMs(line), clock });
  } catch (cause) {
    await binding.close();
    throw portError('port-unusable', path, messageOf(cause), cause);
  }
}

function streamOf(fd: number): ReadStream {
  try {
    const stream = new ReadStream(fd);
    // what libuv opened anew it reads and closes; what it was given would stay open for ever
    const own = (stream as unknown as { readonly _handle?: { readonly fd?: number } })._handle?.fd;
    if (own !== undefined && own !== fd) closeSync(fd);
    return stream;
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

/** Who has it open without a lock (a getty, a terminal program) would take every other byte. */
async function refuseHeld(path: string): Promise<void> {
  // a pseudo terminal is held by who made it, and what is no port will say so itself
  if (!isKernelPort(path)) return;
  const holders = await holdersOf(path);
  if (holders.length > 0) throw busy(path, holders);
}

function busy(path: string, holders: readonly Holder[], cause?: unknown): OutpostError {
  const who = holders.map(({ pid, name }) => `${name} (process ${pid})`).join(', ');
  const detail = who === '' ? 'another process, or another peripheral of this agent, holds it.' : `${who} holds it.`;
  return new OutpostError('port-busy', `${path}: ${detail}`, { context: { port: path, holders }, cause });
}

async function openBinding(path: string, line: SerialLine): Promise<Binding> {
  const { baudRate, dataBits, parity, stopBits, lowLatency } = line;
  try {
    // a port that is opened again must not drop DTR: many a device takes that for a reset
    const binding = await SerialPort.binding.open({
      path,
      baudRate,
      dataBits,
      parity,
      stopBits,
      lock: true,
      hupcl: false,
    });
    // not every adapter knows it, and then it is not needed
    if (lowLatency) await binding.set({ lowLatency }).catch(() => undefined);
    return binding;
  } catch (cause) {
    throw await explain(path, cause);
  }
}

/** The binding tells errno only by its words (strerror(3)). */
async function explain(path: string, cause: unknown): Promise<OutpostError> {
  const words = messageOf(cause);
  if (/lock port|Device or resource busy/.test(words)) return busy(path, await holdersOf(path), cause);
  if (/No such file|No such device/.test(words)) return portError('port-missing', path, 'it is not there.', cause);
  if (/Permission denied/.test(words)) return portError('port-denied', path, 'this user may not open it.', cause);
  return portError('port-unusable', path, words, cause);
}

interface OpenedPort {
  readonly path: string;
  readonly binding: Binding;
  readonly fd: number;
  readonly stream: ReadStream;
  readonly alone: Disposable | undefined;
  readonly perByteMs: number;
  readonly clock: Clock;
}

class SerialTransport extends TransportBase {
  readonly #binding: Binding;
  readonly #fd: number;
  readonly #stream: ReadStream;
  readonly #alone: Disposable | undefined;
  readonly #byteMs: number;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  constructor({ path, binding, fd, stream, alone, perByteMs, clock }: OpenedPort) {
    super(path);
    this.#binding = binding;
    this.#fd = fd;
    this.#stream = stream;
    this.#alone = alone;
    this.#byteMs = perByteMs;
    this.#clock = clock;
    stream.on('data', (bytes: Uint8Array) => this.arrived(bytes));
    stream.on(
      'error',
      (cause) =>
        void this.#end(portError('port-lost', path, `it is gone (${systemCode(cause) ?? messageOf(cause)}).`, cause)),
    );
    stream.on('close', () => void this.#end(portError('port-lost', path, 'it hung up.')));
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    let at = this.#writeSome(bytes);
    if (at === bytes.length) return;
    const limitAt = this.#clock.monoMs() + bytes.length * this.#byteMs + writeGraceMs;
    while (at < bytes.length) {
      await this.#clock.sleep(2);
      at += this.#writeSome(bytes.subarray(at));
      if (at < bytes.length && (this.#clock.monoMs() > limitAt || signal?.aborted))
        throw await this.#stuck(at, bytes.length);
    }
  }

  /** A frame that was begun cannot be taken back: only a closed port keeps its rest from following. */
  async #stuck(written: number, all: number): Promise<OutpostError> {
    const error = portError('port-stuck', this.name, `it took ${written} of ${all} bytes and no more.`);
    void this.#end(error);
    return error;
  }

  /** @returns how many the system took; the descriptor is this port's only while it is open */
  #writeSome(bytes: Uint8Array): number {
    if (!this.isOpen) throw this.refusal();
    try {
      return writeSync(this.#fd, bytes);
    } catch (cause) {
      if (systemCode(cause) === 'EAGAIN') return 0;
      const error = portError(
        'port-lost',
        this.name,
        `it takes no bytes (${systemCode(cause) ?? messageOf(cause)}).`,
        cause,
      );
      void this.#end(error);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end(undefined);
  }

  /** What is still in the system's buffer is thrown away: it was meant for a connection that is over. */
  async #end(error: OutpostError | undefined): Promise<void> {
    if (this.closeOnce(error)) this.#closing = this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.#stream.destroy();
    this.#alone?.[Symbol.dispose]();
    await this.#binding.flush().catch(() => undefined);
    await this.#binding.close().catch(() => undefined);
  }
}

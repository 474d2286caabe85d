/**
 * A pseudo terminal whose one end is ours and whose other end is a serial port to anybody: what a simulator plugs in.
 *
 *   ours: Transport on /dev/ptmx          theirs: /dev/pts/N, and a link with a name that stays
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';
import { portError, type Transport, TransportBase } from './transport.ts';

export interface Pty extends Transport {
  /** Not reading any more: a peer that has stopped, whose buffers fill up. */
  pause(): void;
  /** What the other side opens: the link where one was asked for. */
  readonly path: string;
}

// Node has no ioctl; perl is part of every Debian. TIOCSPTLCK and TIOCGPTN of tty_ioctl(4).
const unlock = `
my $zero = pack 'i', 0; my $number = pack 'i', 0;
defined ioctl(STDIN, 0x40045431, $zero) or die "TIOCSPTLCK: $!";
defined ioctl(STDIN, 0x80045430, $number) or die "TIOCGPTN: $!";
my $path = '/dev/pts/' . unpack 'i', $number;
system('stty', '-F', $path, 'raw', '-echo') == 0 or die 'stty';
print $path;`;

const readWrite = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;

/**
 * @param link a path that will point to the port, and is removed at the end
 * @throws OutpostError `pty-unavailable`
 */
export function openPty(clock: Clock, link?: string): Pty {
  const master = openSync('/dev/ptmx', readWrite);
  try {
    const { status, stdout, stderr, error } = spawnSync('perl', ['-e', unlock], {
      stdio: [master, 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    if (error ?? status !== 0)
      throw new OutpostError('pty-unavailable', `No pseudo terminal: ${error?.message ?? stderr.trim()}.`);
    // held open, so that a host may close and open its end without a hang-up on ours
    const held = openSync(stdout, readWrite);
    if (link !== undefined) relink(stdout, link);
    return new PtyTransport(stdout, link, master, held, clock);
  } catch (thrown) {
    closeSync(master);
    throw thrown;
  }
}

function relink(target: string, link: string): void {
  try {
    unlinkSync(link);
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT')
      throw new OutpostError('pty-unavailable', `${link} cannot be replaced: ${messageOf(cause)}`, { cause });
  }
  symlinkSync(target, link);
}

class PtyTransport extends TransportBase implements Pty {
  readonly path: string;
  readonly #link: string | undefined;
  readonly #master: number;
  readonly #held: number;
  readonly #stream: ReadStream;
  readonly #clock: Clock;

  constructor(port: string, link: string | undefined, master: number, held: number, clock: Clock) {
    super(`pty ${link ?? port}`);
    this.path = link ?? port;
    this.#link = link;
    this.#master = master;
    this.#held = held;
    this.#clock = clock;
    // libuv leaves a master as it is, and so this descriptor is the stream's
    this.#stream = new ReadStream(master);
    this.#stream.on('data', (bytes: Uint8Array) => this.arrived(bytes));
    this.#stream.on('error', (cause) => this.#end(portError('port-lost', this.path, messageOf(cause), cause)));
    this.#stream.on('close', () => this.#end(undefined));
  }

  /** Not reading any more: a peer that has stopped, whose buffers fill up. */
  pause(): void {
    this.#stream.pause();
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      signal?.throwIfAborted();
      if (!this.isOpen) throw this.refusal();
      const written = this.#writeSome(bytes.subarray(at));
      at += written;
      if (written === 0) await this.#clock.sleep(1, signal);
    }
  }

  #writeSome(bytes: Uint8Array): number {
    try {
      return writeSync(this.#master, bytes);
    } catch (cause) {
      if (systemCode(cause) === 'EAGAIN') return 0;
      throw portError('port-lost', this.path, messageOf(cause), cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(undefined);
  }

  #end(error: OutpostError | undefined): void {
    if (!this.closeOnce(error)) return;
    this.#stream.destroy();
    closeSync(this.#held);
    if (this.#link === undefined) return;
    try {
      unlinkSync(this.#link);
    } catch (cause) {
      if (systemCode(cause) !== 'ENOENT') throw cause;
    }
  }
}

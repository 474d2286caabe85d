/**
 * One transport and the devices on it: one speaks at a time, with the pauses that the line needs.
 *
 *   link A --take--.                         bytes go to who holds the turn;
 *   link B --take--+--> turn --> transport   without a turn, to the only link, or to nobody
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { OutpostError } from '#agent/core/errors.ts';
import { Turns } from '#agent/core/turns.ts';
import type { Transport } from './transport.ts';

/** One device's end of the bus. */
export interface BusMember {
  onBytes(bytes: Uint8Array): void;
  onClosed(error: OutpostError | undefined): void;
}

export interface BusTiming {
  /** From the end of one exchange to the next write, ms. */
  readonly turnaroundMs: number;
}

export class Bus {
  readonly transport: Transport;
  readonly #clock: Clock;
  readonly #turns = new Turns(1);
  readonly #members = new Set<BusMember>();
  #holder: BusMember | undefined;
  #freeAtMs = 0;
  #waiting = 0;
  #strayBytes = 0;
  #closed: { readonly error: OutpostError | undefined } | undefined;

  constructor(transport: Transport, clock: Clock) {
    this.transport = transport;
    this.#clock = clock;
    transport.attach({
      onBytes: (bytes) => this.#onBytes(bytes),
      onClosed: (error) => {
        this.#closed = { error };
        for (const member of this.#members) member.onClosed(error);
      },
    });
  }

  /** Bytes that came while nobody had asked, on a bus of several. */
  get strayBytes(): number {
    return this.#strayBytes;
  }

  /** Exchanges that wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  join(member: BusMember): Disposable {
    this.#members.add(member);
    if (this.#closed) member.onClosed(this.#closed.error);
    return { [Symbol.dispose]: () => this.#members.delete(member) };
  }

  /**
   * The turn to speak; dispose it when the exchange is over.
   * @param isUrgent the next turn, whoever waits
   * @throws the signal's reason
   */
  async take(
    member: BusMember,
    { turnaroundMs }: BusTiming,
    signal: AbortSignal,
    isUrgent = false,
  ): Promise<Disposable> {
    signal.throwIfAborted();
    const turn = this.#turns.takeNow() ?? (await this.#turn(signal, isUrgent));
    try {
      signal.throwIfAborted();
      const pauseMs = this.#freeAtMs - this.#clock.monoMs();
      if (pauseMs > 0) await this.#clock.sleep(pauseMs, signal);
    } catch (thrown) {
      turn[Symbol.dispose]();
      throw thrown;
    }
    this.#holder = member;
    return {
      [Symbol.dispose]: () => {
        this.#holder = undefined;
        if (turnaroundMs > 0) this.leaveAlone(turnaroundMs);
        turn[Symbol.dispose]();
      },
    };
  }

  /** Who gives up waiting does not wait for the turn that it will not use. */
  async #turn(signal: AbortSignal, isUrgent: boolean): Promise<Disposable> {
    this.#waiting += 1;
    const turn = this.#turns.take(isUrgent);
    let listening: Disposable | undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      listening = onAbort(signal, () => {
        void turn.then((late) => late[Symbol.dispose]());
        reject(signal.reason as Error);
      });
    });
    return await Promise.race([turn, aborted]).finally(() => {
      this.#waiting -= 1;
      listening?.[Symbol.dispose]();
    });
  }

  /** Nobody writes for this long. */
  leaveAlone(ms: number): void {
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.monoMs() + ms);
  }

  #onBytes(bytes: Uint8Array): void {
    const member = this.#holder ?? (this.#members.size === 1 ? [...this.#members][0] : undefined);
    if (member) member.onBytes(bytes);
    else this.#strayBytes += bytes.length;
  }
}

/** Two ends in memory, for tests and for what runs without hardware: what is written at one end arrives at the other. */
import { Ending, type Transport, type TransportListener, portError } from './transport.ts';

export interface MemoryEnd extends Transport {
  /** The other end sees a hang-up, as when a plug is pulled. */
  unplug(): void;
}

/** @returns both ends; bytes arrive on a later turn of the event loop, in order */
export function memoryPair(name = 'memory'): readonly [MemoryEnd, MemoryEnd] {
  const ends: End[] = [];
  const [a, b] = [new End(`${name}/a`, () => ends[1]), new End(`${name}/b`, () => ends[0])];
  ends.push(a, b);
  return [a, b];
}

class End implements MemoryEnd {
  readonly #ending: Ending;
  readonly #other: () => End | undefined;

  constructor(name: string, other: () => End | undefined) {
    this.#ending = new Ending(name);
    this.#other = other;
  }

  get epoch(): number {
    return this.#ending.epoch;
  }

  get name(): string {
    return this.#ending.name;
  }

  get isOpen(): boolean {
    return this.#ending.isOpen;
  }

  attach(listener: TransportListener): void {
    this.#ending.attach(listener);
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.isOpen) throw this.#ending.refusal();
    const copy = bytes.slice();
    setImmediate(() => this.#other()?.arrive(copy));
  }

  unplug(): void {
    for (const end of [this, this.#other()]) end?.hangUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ending.close(undefined)) return;
    setImmediate(() => this.#other()?.hangUp());
  }

  private arrive(bytes: Uint8Array): void {
    this.#ending.bytes(bytes);
  }

  private hangUp(): void {
    this.#ending.close(portError('port-lost', this.name, 'the other end hung up.'));
  }
}

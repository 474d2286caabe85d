/** Two ends in memory, for tests and for what runs without hardware: what is written at one end arrives at the other. */
import { type Transport, portError, TransportBase } from './transport.ts';

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

class End extends TransportBase implements MemoryEnd {
  readonly #other: () => End | undefined;

  constructor(name: string, other: () => End | undefined) {
    super(name);
    this.#other = other;
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.isOpen) throw this.refusal();
    const copy = bytes.slice();
    setImmediate(() => this.#other()?.arrived(copy));
  }

  unplug(): void {
    for (const end of [this, this.#other()]) end?.hangUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.closeOnce(undefined)) return;
    setImmediate(() => this.#other()?.hangUp());
  }

  private hangUp(): void {
    this.closeOnce(portError('port-lost', this.name, 'the other end hung up.'));
  }
}

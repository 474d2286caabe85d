/**
 * What is read and not yet committed. Bounded: beyond its bytes the socket is not read any further.
 *
 *   socket --offer--> [ deliveries ] --take: all that has gathered--> one round
 */
import type { Downlink } from './downlink.ts';
import type { Presence } from './presence.ts';
import type { Received } from './received.ts';

export interface Delivery extends Received {
  readonly presence: Presence | undefined;
  readonly downlink?: Downlink;
  readonly bytes: number;
  /** Sends the PUBACK: only after the commit. */
  acknowledge(): void;
}

/** One transaction: large enough for the disk, short enough for the others who want its rows. */
const roundLimits = { events: 4_096, bytes: 8 * 1024 * 1024 };
/** Read ahead. What a broker may send unacknowledged is less, where it asks. */
const mostBytes = 64 * 1024 * 1024;

export class DeliveryQueue {
  #deliveries: Delivery[] = [];
  #bytes = 0;
  #onArrival: (() => void) | undefined;
  #onRoom: (() => void)[] = [];

  get publishes(): number {
    return this.#deliveries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns what to wait for before the next is read */
  offer(delivery: Delivery): Promise<void> | undefined {
    this.#deliveries.push(delivery);
    this.#bytes += delivery.bytes;
    this.#onArrival?.();
    if (this.#bytes < mostBytes) return undefined;
    return new Promise((resolve) => {
      this.#onRoom.push(resolve);
    });
  }

  /** At least one, unless aborted. */
  async take(signal: AbortSignal): Promise<readonly Delivery[]> {
    while (this.#deliveries.length === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#onArrival = undefined;
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#onArrival = wake;
        signal.addEventListener('abort', wake);
      });
      // what came in the same read of the socket goes along
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#deliveries.splice(0, this.#roundLength());
  }

  /** Call it when a round is committed: there is room again. */
  release(deliveries: readonly Delivery[]): void {
    this.#bytes -= deliveries.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#bytes >= mostBytes) return;
    for (const resolve of this.#onRoom.splice(0)) resolve();
  }

  #roundLength(): number {
    let [events, bytes] = [0, 0];
    for (const [index, delivery] of this.#deliveries.entries()) {
      events += delivery.events.length + delivery.rejected.length;
      bytes += delivery.bytes;
      if (index > 0 && (events > roundLimits.events || bytes > roundLimits.bytes)) return index;
    }
    return this.#deliveries.length;
  }
}

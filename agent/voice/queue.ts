/** What waits to be said: alarms first, then warnings, then information; in each, in the order of coming. */
import type { Priority } from '#config/voice.ts';

export interface Queued {
  /** The same id waits once. */
  readonly id: string;
  readonly priority: Priority;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
}

const rank: Readonly<Record<Priority, number>> = { information: 0, warning: 1, alarm: 2 };

export class AnnouncementQueue<T extends Queued> {
  readonly #capacity: number;
  #waiting: readonly T[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#waiting.length;
  }

  has(id: string): boolean {
    return this.#waiting.some((each) => each.id === id);
  }

  /** @returns false when it is full, or the same waits already */
  offer(item: T): boolean {
    if (this.has(item.id) || this.#waiting.length >= this.#capacity) return false;
    const before = this.#waiting.filter(({ priority }) => rank[priority] >= rank[item.priority]);
    this.#waiting = [...before, item, ...this.#waiting.filter((each) => !before.includes(each))];
    return true;
  }

  /** The next one; what came too late goes out beside it. */
  take(nowMs: number): { readonly next: T | undefined; readonly expired: readonly T[] } {
    const expired = this.#waiting.filter(({ expiresAtMs }) => expiresAtMs <= nowMs);
    const [next, ...rest] = this.#waiting.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    this.#waiting = rest;
    return { next, expired };
  }

  /** @returns those that were given up */
  drop(isDropped: (item: T) => boolean): readonly T[] {
    const dropped = this.#waiting.filter(isDropped);
    this.#waiting = this.#waiting.filter((item) => !dropped.includes(item));
    return dropped;
  }
}

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

  /** When it is full, what is less urgent makes room. */
  offer(item: T): { readonly isTaken: boolean; readonly displaced?: T } {
    if (this.has(item.id)) return { isTaken: false };
    const isFull = this.#waiting.length >= this.#capacity;
    const last = this.#waiting.at(-1);
    if (isFull && (!last || rank[last.priority] >= rank[item.priority])) return { isTaken: false };
    const kept = isFull ? this.#waiting.slice(0, -1) : this.#waiting;
    const before = kept.filter(({ priority }) => rank[priority] >= rank[item.priority]);
    this.#waiting = [...before, item, ...kept.slice(before.length)];
    return { isTaken: true, ...(isFull && last ? { displaced: last } : {}) };
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

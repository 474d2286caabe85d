/**
 * The only place where push becomes pull.
 *
 *   offer(item) --[ capacity, overflow ]--> for await (const item of mailbox)
 */
export type Overflow =
  /** the oldest waiting item makes room, and is counted */
  | 'drop-oldest'
  /** the offered item is refused, and counted */
  | 'refuse'
  /** nothing is bounded: only where the producer is bounded already */
  | 'unbounded';

export interface MailboxOptions<T> {
  readonly capacity: number;
  readonly overflow: Overflow;
  /** Called with every item that is given up, to release what it holds. */
  readonly onDrop?: (item: T) => void;
}

export class Mailbox<T> implements AsyncIterable<T>, Disposable {
  readonly #options: MailboxOptions<T>;
  readonly #items: T[] = [];
  #waiting: ((result: IteratorResult<T, undefined>) => void) | undefined;
  #closed = false;
  #dropped = 0;

  constructor(options: MailboxOptions<T>) {
    this.#options = options;
  }

  /** Items given up so far. */
  get dropped(): number {
    return this.#dropped;
  }

  get size(): number {
    return this.#items.length;
  }

  /** @returns false when the item was refused (full, or closed) */
  offer(item: T): boolean {
    if (this.#closed) {
      this.#drop(item);
      return false;
    }
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      waiting({ done: false, value: item });
      return true;
    }
    const { capacity, overflow } = this.#options;
    if (overflow !== 'unbounded' && this.#items.length >= capacity) {
      if (overflow === 'refuse') {
        this.#drop(item);
        return false;
      }
      for (const oldest of this.#items.splice(0, 1)) this.#drop(oldest);
    }
    this.#items.push(item);
    return true;
  }

  /** What waits is still delivered; then iteration ends. */
  close(): void {
    this.#closed = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.({ done: true, value: undefined });
  }

  /** The next item if one waits. */
  take(): T | undefined {
    return this.#items.shift();
  }

  /** The next item, or `done` once closed and empty. One reader at a time. */
  async next(signal?: AbortSignal): Promise<IteratorResult<T, undefined>> {
    signal?.throwIfAborted();
    if (this.#items.length > 0) return { done: false, value: this.#items.shift() as T };
    if (this.#closed) return { done: true, value: undefined };
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = undefined;
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting = (result) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(result);
      };
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let result = await this.next(); !result.done; result = await this.next()) yield result.value;
  }

  [Symbol.dispose](): void {
    this.close();
    for (const item of this.#items.splice(0)) this.#drop(item);
  }

  #drop(item: T): void {
    this.#dropped += 1;
    this.#options.onDrop?.(item);
  }
}

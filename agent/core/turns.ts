/** A fair queue for a scarce thing: at most `permits` hold it at once, the longest waiting is next, but for who is urgent. */

export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(permits: number) {
    this.#free = permits;
  }

  /**
   * Resolves with the permit; dispose it to let the next one in.
   * @param isUrgent goes before all that wait
   */
  async take(isUrgent = false): Promise<Disposable> {
    const free = this.takeNow();
    if (free) return free;
    await new Promise<void>((resolve) => (isUrgent ? this.#waiting.unshift(resolve) : this.#waiting.push(resolve)));
    return this.#permit();
  }

  /** The permit when nobody waits for it; undefined otherwise. */
  takeNow(): Disposable | undefined {
    if (this.#free === 0) return undefined;
    this.#free -= 1;
    return this.#permit();
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next();
        else this.#free += 1;
      },
    };
  }
}

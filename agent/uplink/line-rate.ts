/**
 * What a line carries, measured from its answers, and how much may be in flight so that nobody waits behind it.
 *
 *   publish --sent--> in flight --PUBACK--> delivered      rate = most bytes delivered a second, lately
 *                                                          budget = rate x (least round trip + 150 ms)
 *
 * The rate is that of delivery between the sending and the answer of one publish (Cardwell et al., "BBR: Congestion-Based
 * Congestion Control", ACM Queue 14(5), 2016, section "Estimating bandwidth"); the budget leaves less than 200 ms of it
 * waiting in the line, however long the line is.
 */
export interface Flight {
  readonly bytes: number;
  readonly sentMonoMs: number;
  readonly delivered: number;
  readonly deliveredMonoMs: number;
}

const queueMs = 150;
const windowMs = 2_000;
/** Until something is known. */
const firstBudgetBytes = 32 * 1024;
const leastRttMs = 1;

export class LineRate {
  #delivered = 0;
  #deliveredMonoMs = 0;
  #inFlightBytes = 0;
  #rttMs = Infinity;
  #samples: { readonly monoMs: number; readonly bytesPerMs: number }[] = [];

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** undefined: nothing is known yet. */
  get bytesPerSecond(): number | undefined {
    return this.#samples.length > 0 ? 1_000 * Math.max(...this.#samples.map((sample) => sample.bytesPerMs)) : undefined;
  }

  /** Beyond it nothing more is sent; one publish may always be in flight. */
  get budgetBytes(): number {
    const perSecond = this.bytesPerSecond;
    if (perSecond === undefined) return firstBudgetBytes;
    return (perSecond / 1_000) * (Math.max(leastRttMs, this.#rttMs) + queueMs);
  }

  get isFull(): boolean {
    return this.#inFlightBytes > 0 && this.#inFlightBytes >= this.budgetBytes;
  }

  sent(bytes: number, monoMs: number): Flight {
    if (this.#inFlightBytes === 0) this.#deliveredMonoMs = monoMs;
    this.#inFlightBytes += bytes;
    return { bytes, sentMonoMs: monoMs, delivered: this.#delivered, deliveredMonoMs: this.#deliveredMonoMs };
  }

  answered(flight: Flight, monoMs: number): void {
    this.#inFlightBytes -= flight.bytes;
    this.#delivered += flight.bytes;
    this.#deliveredMonoMs = monoMs;
    this.roundTrip(monoMs - flight.sentMonoMs);
    const tookMs = Math.max(leastRttMs, monoMs - flight.deliveredMonoMs);
    const bytesPerMs = (this.#delivered - flight.delivered) / tookMs;
    // what is lower than a newer one never counts again
    const kept = this.#samples.filter((sample) => sample.bytesPerMs > bytesPerMs && sample.monoMs > monoMs - windowMs);
    this.#samples = [...kept, { monoMs, bytesPerMs }];
  }

  /** Of any publish: the shortest is that of the line itself. */
  roundTrip(ms: number): void {
    this.#rttMs = Math.min(this.#rttMs, ms);
  }
}

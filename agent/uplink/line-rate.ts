/**
 * What a line carries, measured from its answers, and how much may be in flight so that nobody waits behind it.
 *
 *   publish --sent--> in flight --PUBACK--> delivered      rate = most bytes delivered a second, lately
 *                                                          budget = rate x least round trip + what may wait
 *
 * The rate is that of delivery between the sending and the answer of one publish (Cardwell et al., "BBR: Congestion-Based
 * Congestion Control", ACM Queue 14(5), 2016, section "Estimating bandwidth", and "Startup" for the beginning); the budget leaves less than 200 ms of it
 * waiting in the line, however long the line is.
 */
export interface Flight {
  readonly bytes: number;
  readonly sentMonoMs: number;
  readonly delivered: number;
  readonly deliveredMonoMs: number;
}

/** Waiting in the line: on a slow one no longer than this, */
const queueMs = 150;
/** and on a fast one no more than this, behind which an alarm waits at the broker. */
const queueBatches = 4;
const windowMs = 2_000;
/** Until something is known. */
const firstBudgetBytes = 32 * 1024;
const leastRttMs = 1;
const startRounds = 3;
const batchesInBudget = 8;

export class LineRate {
  readonly #mostBatchBytes: number;
  #delivered = 0;
  #roundEndsAt = 0;
  #roundRate = 0;
  #flatRounds = 0;
  #deliveredMonoMs = 0;
  #inFlightBytes = 0;
  #rttMs = Infinity;
  #samples: { readonly monoMs: number; readonly bytesPerMs: number }[] = [];

  constructor(mostBatchBytes: number) {
    this.#mostBatchBytes = mostBatchBytes;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** undefined: nothing is known yet. */
  get bytesPerSecond(): number | undefined {
    return this.#samples.length > 0 ? 1_000 * Math.max(...this.#samples.map((sample) => sample.bytesPerMs)) : undefined;
  }

  /** Most that may be in flight, in publishes of at most `batchBytes`; one publish always may. */
  get budgetBytes(): number {
    const perSecond = this.bytesPerSecond;
    if (perSecond === undefined) return firstBudgetBytes;
    const perMs = perSecond / 1_000;
    const queueBytes = Math.min(perMs * queueMs, queueBatches * this.#mostBatchBytes);
    return perMs * this.#rounds * this.#leastMs + queueBytes;
  }

  get batchBytes(): number {
    const perSecond = this.bytesPerSecond;
    const budget =
      perSecond === undefined ? firstBudgetBytes : (perSecond / 1_000) * (this.#rounds * this.#leastMs + queueMs);
    return Math.min(this.#mostBatchBytes, Math.floor(budget / batchesInBudget));
  }

  /** Two until the line is known: it may carry more than was asked of it. */
  get #rounds(): number {
    return this.#flatRounds < startRounds ? 2 : 1;
  }

  get #leastMs(): number {
    return Math.max(leastRttMs, this.#rttMs);
  }

  get isFull(): boolean {
    return this.#inFlightBytes > 0 && this.#inFlightBytes + this.batchBytes > this.budgetBytes;
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
    if (flight.delivered >= this.#roundEndsAt) this.#endRound();
  }

  /** The line is known when the rate has not grown by a quarter for three round trips. */
  #endRound(): void {
    this.#roundEndsAt = this.#delivered;
    const rate = this.bytesPerSecond ?? 0;
    if (rate > 1.25 * this.#roundRate) {
      this.#roundRate = rate;
      this.#flatRounds = 0;
    } else this.#flatRounds += 1;
  }

  /** Of any publish: the shortest is that of the line itself. */
  roundTrip(ms: number): void {
    this.#rttMs = Math.min(this.#rttMs, ms);
  }
}

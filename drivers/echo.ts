/** Takes our own words out of what is heard, on lines that give back what is written (two-wire RS-485 adapters). */

/** An echo that has not come by then never will. */
const echoWithinMs = 1_000;

export class EchoFilter {
  #expected: Uint8Array = nothing;
  #matched = 0;
  #untilMs = 0;
  #bytes = 0;

  /** Bytes taken out so far. */
  get bytes(): number {
    return this.#bytes;
  }

  expect(written: Uint8Array, nowMs: number): void {
    const rest = nowMs > this.#untilMs ? nothing : this.#expected;
    this.#expected = Uint8Array.from([...rest, ...written]);
    if (rest.length === 0) this.#matched = 0;
    this.#untilMs = nowMs + echoWithinMs;
  }

  /**
   * @returns what is not echo. An echo that breaks off is given back: it is no whole frame, or it was none of ours and
   * begins an answer.
   */
  filter(bytes: Uint8Array, nowMs: number): Uint8Array {
    if (this.#expected.length === 0) return bytes;
    if (nowMs > this.#untilMs) return this.#giveBack(bytes);
    let at = 0;
    while (at < bytes.length && this.#matched < this.#expected.length && bytes[at] === this.#expected[this.#matched]) {
      at += 1;
      this.#matched += 1;
    }
    if (this.#matched === this.#expected.length) {
      this.#bytes += this.#matched;
      this.#forget();
    } else if (at < bytes.length) return this.#giveBack(bytes.subarray(at));
    return bytes.subarray(at);
  }

  #giveBack(bytes: Uint8Array): Uint8Array {
    const matched = this.#expected.subarray(0, this.#matched);
    this.#forget();
    return Uint8Array.from([...matched, ...bytes]);
  }

  #forget(): void {
    this.#expected = nothing;
    this.#matched = 0;
  }
}

const nothing = new Uint8Array(0);

/** Takes our own words out of what is heard, on lines that give back what is written (two-wire RS-485 adapters). */

/** An echo that has not come by then never will. */
const echoWithinMs = 1_000;

export class EchoFilter {
  #expected: Uint8Array = nothing;
  #untilMs = 0;
  /** Some of it has come. */
  #hasBegun = false;
  #bytes = 0;

  /** Bytes taken out so far. */
  get bytes(): number {
    return this.#bytes;
  }

  expect(written: Uint8Array, nowMs: number): void {
    const rest = nowMs > this.#untilMs ? nothing : this.#expected;
    this.#expected = Uint8Array.from([...rest, ...written]);
    this.#untilMs = nowMs + echoWithinMs;
    this.#hasBegun &&= rest.length > 0;
  }

  /**
   * @returns what is not echo; where the echo breaks off, its rest is not waited for. What came after the break may be an
   *   answer that begins as the echo would have gone on: it is given whole, since a codec finds its frames among junk,
   *   but not without their first bytes.
   */
  filter(bytes: Uint8Array, nowMs: number): Uint8Array {
    if (nowMs > this.#untilMs) this.#expected = nothing;
    const most = Math.min(bytes.length, this.#expected.length);
    let same = 0;
    while (same < most && bytes[same] === this.#expected[same]) same += 1;
    const breaksOff = same < most;
    const echoed = breaksOff && this.#hasBegun ? 0 : same;
    this.#bytes += echoed;
    this.#expected = same < bytes.length ? nothing : this.#expected.subarray(same);
    this.#hasBegun = this.#expected.length > 0 && (this.#hasBegun || same > 0);
    return bytes.subarray(echoed);
  }
}

const nothing = new Uint8Array(0);

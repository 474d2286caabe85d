/**
 * Notices that another client has this device's id: MQTT 5 says so (reason 142); of 3.1.1 there is only a line that
 * works and is ended in good order, again and again.
 */
import type { OutpostError } from '#agent/core/errors.ts';

const windowMs = 600_000;
const often = 4;

export class SameId {
  #ends: number[] = [];

  /** A line that had worked was cut. @returns one clause that says so, when it looks like it */
  ended({ code, context }: OutpostError, monoMs: number): string | undefined {
    if (code === 'broker-taken-over') return 'The broker says so (MQTT 5, reason 142).';
    if (context['orderly'] !== true) return undefined;
    this.#ends = [...this.#ends.filter((endMonoMs) => endMonoMs > monoMs - windowMs), monoMs];
    if (this.#ends.length < often) return undefined;
    return `The broker ended a working line ${this.#ends.length} times within 10 minutes: perhaps for another client.`;
  }
}

/**
 * Which readings are worth sending: by interval, by deadband, and at once when what is not a number changes.
 *
 *   100 readings a second --interval, deadband--> a few a minute
 */
import type { Reading, ReadingMember, ReadingValue } from '#agent/domain/reading.ts';

export interface TelemetryOptions {
  /** Sent at most this often, ms. */
  readonly intervalMs: number;
  /** A smaller change of a number is not sent. */
  readonly deadband: number;
}

/** However little changes, this often it is said again: silence upstream means that the device is silent. */
const saidAgainMs = 900_000;

interface Sent {
  readonly value: ReadingValue;
  readonly quality: Reading['quality'];
  readonly atMs: number;
}

export class TelemetryFilter {
  readonly #sent = new Map<string, Sent>();

  /** @returns whether this one is to be sent; then it counts as sent */
  pass(reading: Reading, { intervalMs, deadband }: TelemetryOptions): boolean {
    const { property, value, quality, monoMs } = reading;
    const before = this.#sent.get(property);
    if (before && !isWorth(before, reading, intervalMs, deadband)) return false;
    this.#sent.set(property, { value, quality, atMs: monoMs });
    return true;
  }
}

function isWorth(before: Sent, { value, quality, monoMs }: Reading, intervalMs: number, deadband: number): boolean {
  const age = monoMs - before.atMs;
  if (age >= saidAgainMs) return true;
  const change = changeOf(before.value, value, deadband);
  // states are told as they change: a door has no interval; but a state that flutters has
  if (change === 'state' || quality !== before.quality) return age >= Math.min(intervalMs, flutterMs);
  return change === 'amount' && age >= intervalMs;
}

const flutterMs = 1_000;

function changeOf(before: ReadingValue, now: ReadingValue, deadband: number): 'none' | 'amount' | 'state' {
  if (typeof before !== 'object' || typeof now !== 'object') return changeOfMember(before, now, deadband);
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  const changes = [...keys].map((key) => changeOfMember(before[key], now[key], deadband));
  return changes.find((change) => change === 'state') ?? changes.find((change) => change === 'amount') ?? 'none';
}

type Member = ReadingMember | ReadingValue | undefined;

function changeOfMember(before: Member, now: Member, deadband: number): 'none' | 'amount' | 'state' {
  if (typeof before === 'number' && typeof now === 'number') {
    return before !== now && Math.abs(now - before) >= deadband ? 'amount' : 'none';
  }
  return before === now ? 'none' : 'state';
}

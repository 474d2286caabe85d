/**
 * A double of a device: it answers what it is told, and tells on its own; and the faults that real lines have.
 *
 *   host --bytes--> device codec --> Simulator.receive --> messages --[ faults ]--> bytes --> host
 */
import type { Clock } from '#agent/core/clock.ts';
import { onAbort } from '#agent/core/abort.ts';
import type { Random } from '#agent/core/random.ts';
import type { Codec } from './codec.ts';
import type { Transport } from './transport.ts';

/** The device's mind: pure but for its own state, so that a test can look at it. */
export interface Simulator<FromDevice, ToDevice> {
  /** @returns its answers, in order; none when it is not meant */
  receive(message: ToDevice): readonly FromDevice[];
  /** What it tells on its own now; called each `intervalMs`. */
  tell?(now: { readonly wallMs: number; readonly monoMs: number }): readonly FromDevice[];
  readonly intervalMs?: number;
  /** Makes an event of the manifest happen: the door is forced, a card is held before it. */
  provoke?(event: string): readonly FromDevice[];
  /** What it is doing, for tests and for people: `{open: true}`. */
  readonly state?: Readonly<Record<string, unknown>>;
  /** What can be seen of it now, as SVG: the paper that a printer has printed. */
  picture?(): string;
}

/** What a real line, or a dying device, does. */
export const faultNames = ['silent', 'garbled', 'slow', 'duplicated', 'echoing', 'unplugged'] as const;
export type FaultName = (typeof faultNames)[number];

export interface Faults {
  /** Says nothing. */
  readonly silent?: boolean;
  /** One bit of every frame is wrong. */
  readonly garbled?: boolean;
  /** Every frame leaves this much later, ms. */
  readonly slowMs?: number;
  /** Every frame is said twice. */
  readonly duplicated?: boolean;
  /** Every byte that it hears is given back; a fraction: only the first part of it. */
  readonly echo?: number;
}

export interface SimulationOptions<FromDevice, ToDevice> {
  readonly simulator: Simulator<FromDevice, ToDevice>;
  readonly codec: Codec<ToDevice, FromDevice>;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked for each frame, so that a fault can begin and end. */
  readonly faults?: () => Faults;
  readonly onReceive?: (message: ToDevice) => void;
}

/** A service: plays the device on this transport until aborted, or until the other end is gone. */
export async function simulate<FromDevice, ToDevice>(
  options: SimulationOptions<FromDevice, ToDevice>,
  signal: AbortSignal,
): Promise<void> {
  const { simulator, codec, transport, clock } = options;
  const ended = new AbortController();
  using _listening = onAbort(signal, () => ended.abort());
  const say = (message: FromDevice): void => void emit(codec.encode(message), options, ended.signal);
  transport.attach({
    onBytes: (bytes) => {
      const { echo = 0 } = options.faults?.() ?? {};
      if (echo > 0) void transport.write(bytes.slice(0, Math.ceil(bytes.length * echo))).catch(() => undefined);
      for (const message of codec.push(bytes).messages) {
        options.onReceive?.(message);
        for (const answer of simulator.receive(message)) say(answer);
      }
    },
    onClosed: () => ended.abort(),
  });
  const { intervalMs } = simulator;
  while (!ended.signal.aborted) {
    if (intervalMs !== undefined) {
      for (const message of simulator.tell?.({ wallMs: clock.wallMs(), monoMs: clock.monoMs() }) ?? []) say(message);
    }
    await clock.sleep(intervalMs ?? idleMs, ended.signal).catch(() => undefined);
  }
}

const idleMs = 3_600_000;

async function emit<F, T>(bytes: Uint8Array, options: SimulationOptions<F, T>, signal: AbortSignal): Promise<void> {
  const { transport, clock, random } = options;
  const { silent, garbled, slowMs = 0, duplicated } = options.faults?.() ?? {};
  if (silent) return;
  const said = garbled ? flipped(bytes, random) : bytes;
  try {
    if (slowMs > 0) await clock.sleep(slowMs, signal);
    await transport.write(said, signal);
    if (duplicated) await transport.write(said, signal);
  } catch {
    // the host is gone, and so is the wish to tell it
  }
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(random() * copy.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy;
}

/** A driver and its double on one line, for the suite: in memory or on a pseudo terminal. */
import { fairClock } from './fair-clock.ts';
import type { DurableText } from '#agent/core/durable-text.ts';
import { silentLog } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { Bus } from '../bus.ts';
import type { Codec } from '../codec.ts';
import type { Driver, LineNeeds } from '../driver.ts';
import { memoryPair } from '../memory-transport.ts';
import { openPeripheral, type OpenedPeripheral } from '../open.ts';
import { type Faults, simulate, type Simulator } from '../simulator.ts';
import type { Transport } from '../transport.ts';

export const clock = fairClock();

/** Quick, so that what never comes is given up soon; a fault is far outside of it. */
export const quickLine: Partial<LineNeeds> = { answerMs: 250, settleMs: 120, turnaroundMs: 0 };

export interface Rig extends AsyncDisposable {
  readonly opened: OpenedPeripheral;
  readonly bus: Bus;
  readonly simulator: Simulator<unknown, unknown>;
  readonly signal: AbortSignal;
  /** Changed by the test as it goes. */
  faults: Faults;
  /** What the device has understood so far. */
  readonly received: readonly unknown[];
  /** Every byte that the device said. */
  readonly recording: readonly Uint8Array[];
  /** Says it as the device, past its simulator. */
  say(message: unknown): Promise<void>;
  /** The device is gone. */
  unplug(): Promise<void>;
}

export interface RigOptions {
  readonly line?: Partial<LineNeeds>;
  readonly echo?: boolean;
  /** Host's end and device's end; memory when absent. */
  readonly ends?: readonly [host: Transport, device: Transport];
  /** What the driver remembers; its own when absent. */
  readonly memory?: DurableText;
  /** The device's mind; a fresh one when absent. */
  readonly simulator?: Simulator<unknown, unknown>;
}

function recorded<In, Out>(codec: Codec<In, Out>, into: Uint8Array[]): Codec<In, Out> {
  return {
    push: (bytes) => codec.push(bytes),
    quiet: () => codec.quiet(),
    encode(message) {
      const bytes = codec.encode(message);
      into.push(bytes);
      return bytes;
    },
    get pending() {
      return codec.pending;
    },
    limit: codec.limit,
  };
}

export function openRig(driver: Driver, options: unknown, chosen: RigOptions = {}): Rig {
  const { line, echo, memory } = chosen;
  const [host, device] = chosen.ends ?? memoryPair();
  const stop = new AbortController();
  const simulator = chosen.simulator ?? driver.simulator(options);
  const recording: Uint8Array[] = [];
  const codec = recorded(driver.protocol(options).device(), recording);
  const received: unknown[] = [];
  const rig = { faults: {} as Faults };
  const playing = simulate(
    {
      simulator,
      codec,
      transport: device,
      clock,
      random: seededRandom(1),
      faults: () => rig.faults,
      onReceive: (message) => received.push(message),
    },
    stop.signal,
  );
  const bus = new Bus(host, clock);
  const opened = openPeripheral({
    driver,
    options,
    bus,
    clock,
    log: silentLog,
    line: { ...quickLine, ...line },
    ...(echo === undefined ? {} : { echo }),
    ...(memory === undefined ? {} : { memory }),
  });
  return Object.assign(rig, {
    opened,
    bus,
    simulator,
    received,
    recording,
    signal: stop.signal,
    say: async (message: unknown) => await device.write(codec.encode(message)),
    unplug: async () => await device[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      stop.abort();
      opened[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
      await device[Symbol.asyncDispose]();
      await playing;
    },
  });
}

/**
 * Transports by where they are: peripherals with one port are on one bus, and the last that leaves closes it.
 *
 *   peripheral a --take--.
 *   peripheral b --take--+--> Bus on one transport, as long as somebody holds it
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { Bus } from '#drivers/bus.ts';
import type { LineNeeds } from '#drivers/driver.ts';
import { openPort, portText } from '#drivers/open.ts';
import type { PortSpec } from '#drivers/port.ts';

export interface HeldBus extends AsyncDisposable {
  readonly bus: Bus;
}

interface Shared {
  readonly opening: Promise<Bus>;
  readonly line: LineNeeds;
  holders: number;
}

export class SharedPorts {
  readonly #clock: Clock;
  readonly #shared = new Map<string, Shared>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws OutpostError as openPort; `port-busy` when a device that is alone on its line would have to share it */
  async take(spec: PortSpec, line: LineNeeds, signal: AbortSignal): Promise<HeldBus> {
    const key = portText(spec);
    const before = this.#shared.get(key);
    if (before) {
      const bus = await before.opening.catch(() => undefined);
      // one that is over is nobody's any more
      if (bus && !bus.transport.isOpen) this.#forget(key, before);
      else if (bus && !line.sharedBus) throw new OutpostError('port-busy', `${key} is held by another peripheral.`);
      else if (bus && !isSameLine(before.line, line)) {
        throw new OutpostError('port-unusable', `${key} is shared with a peripheral of other rate, parity or bits.`, {
          hint: 'Give all peripherals of one port the same `line`.',
        });
      }
    }
    const shared = this.#shared.get(key) ?? this.#open(key, spec, line, signal);
    shared.holders += 1;
    try {
      const bus = await shared.opening;
      return { bus, [Symbol.asyncDispose]: async () => await this.#leave(key, shared, bus) };
    } catch (thrown) {
      shared.holders -= 1;
      this.#forget(key, shared);
      throw thrown;
    }
  }

  #open(key: string, spec: PortSpec, line: LineNeeds, signal: AbortSignal): Shared {
    const opening = openPort(spec, line, this.#clock, signal).then((transport) => new Bus(transport, this.#clock));
    const shared = { opening, line, holders: 0 };
    this.#shared.set(key, shared);
    return shared;
  }

  async #leave(key: string, shared: Shared, bus: Bus): Promise<void> {
    shared.holders -= 1;
    if (shared.holders > 0 && bus.transport.isOpen) return;
    this.#forget(key, shared);
    await bus.transport[Symbol.asyncDispose]();
  }

  #forget(key: string, shared: Shared): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }
}

const isSameLine = (a: LineNeeds, b: LineNeeds): boolean =>
  (['baudRate', 'dataBits', 'parity', 'stopBits'] as const).every((key) => a[key] === b[key]);

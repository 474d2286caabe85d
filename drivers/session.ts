/**
 * One device on one connection, from the first question to the end.
 *
 *   open: identify (only reads) -> configure     run: observe, watched for silence, closed
 *   command: one at a time, but for a stop, which goes before all and calls motions off
 */
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Reading, ReadingValue } from '#agent/domain/reading.ts';
import { Turns } from '#agent/core/turns.ts';
import { carryOut, isCalledOff, isStop } from './command.ts';
import type { Identity, Observation, Outcome, Property } from './driver.ts';
import type { OpenedPeripheral } from './open.ts';

export type SessionPhase = 'identifying' | 'configuring' | 'ready' | 'degraded';

export interface SessionEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly personal: boolean;
}

export interface SessionOptions {
  readonly opened: OpenedPeripheral;
  /** Id of the peripheral, in its readings. */
  readonly id: string;
  readonly clock: Clock;
  /** @param property as declared: it says whether the reading may leave */
  readonly onReading?: (reading: Reading, property: Property) => void;
  readonly onEvent?: (event: SessionEvent) => void;
  readonly onPhase?: (phase: SessionPhase) => void;
}

/** For a driver's `close`: an end in order takes less than a second. */
const closeWithinMs = 800;

/** Silences after which a device counts as lost. */
const lostAfter = 3;

export class Session {
  readonly #options: SessionOptions;
  readonly #latest = new Map<string, Reading>();
  readonly #turns = new Turns(1);
  #phase: SessionPhase = 'identifying';
  #waiting = 0;
  /** Aborted by the next stop. */
  #untilStop = new AbortController();
  #stopping: Promise<Outcome> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get phase(): SessionPhase {
    return this.#phase;
  }

  /** Commands that wait for the one before. */
  get waiting(): number {
    return this.#waiting;
  }

  latest(property: string): Reading | undefined {
    return this.#latest.get(property);
  }

  /** @throws OutpostError `device-foreign`, and as the line breaks */
  async open(signal: AbortSignal): Promise<Identity> {
    const { peripheral, link, manifest } = this.#options.opened;
    this.#become('identifying');
    const identity = await peripheral.identify(signal);
    if (!identity) throw link.error ?? new OutpostError('device-foreign', `No ${manifest.title} answers.`);
    this.#become('configuring');
    await peripheral.configure?.(signal);
    return identity;
  }

  /** Until aborted. @throws OutpostError `device-silent`, and as the line breaks */
  async run(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    using _listening = onAbort(signal, () => stop.abort(signal.reason));
    this.#become('ready');
    const watching = this.#watch(stop);
    try {
      for await (const observation of this.#options.opened.peripheral.observe(stop.signal)) this.#take(observation);
      stop.signal.throwIfAborted();
      throw this.#options.opened.link.error ?? new OutpostError('port-lost', 'The device’s line ended.');
    } catch (thrown) {
      // the watch ended it, or the agent did
      if (stop.signal.aborted && !signal.aborted) throw stop.signal.reason as Error;
      if (!signal.aborted) throw thrown;
    } finally {
      stop.abort();
      await watching;
      await this.#close();
    }
  }

  /** While the line still holds; what fails here changes nothing any more. */
  async #close(): Promise<void> {
    const { opened, clock } = this.#options;
    if (!opened.peripheral.close || !opened.link.isOpen) return;
    using _hurry = opened.link.hurry();
    const limit = new AbortController();
    const closing = opened.peripheral.close(limit.signal).catch(() => undefined);
    const late = clock.sleep(closeWithinMs, limit.signal).catch(() => undefined);
    await Promise.race([closing, late]);
    limit.abort();
  }

  /** One at a time, in the order in which they come, but for a stop. @throws the signal's reason */
  async command(name: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    const { link, manifest } = this.#options.opened;
    if (!link.isOpen) return connectionOver;
    const action = Object.hasOwn(manifest.actions, name) ? manifest.actions[name] : undefined;
    if (action && isStop(action)) return await this.#stop(name, args, signal);
    const calledOff = action && isCalledOff(action) ? this.#untilStop.signal : undefined;
    this.#waiting += 1;
    using _turn = await this.#turns.take().finally(() => (this.#waiting -= 1));
    signal.throwIfAborted();
    if (!link.isOpen) return connectionOver;
    if (calledOff?.aborted) return stopCameFirst;
    return calledOff
      ? await this.#untilStopped(name, args, signal, calledOff)
      : await this.#carryOut(name, args, signal);
  }

  async #carryOut(name: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    const { opened, clock } = this.#options;
    const latest = (property: string): ReadingValue | undefined => this.#latest.get(property)?.value;
    return await carryOut(name, args, { opened, clock, latest }, signal);
  }

  /** Past all that wait; what moves, or would, is called off first, so that it cannot follow. */
  async #stop(name: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    using _hurry = this.#options.opened.link.hurry();
    this.#untilStop.abort();
    this.#untilStop = new AbortController();
    this.#stopping = this.#carryOut(name, args, signal);
    return await this.#stopping;
  }

  /**
   * What was begun and then stopped is over, and in no doubt: a line keeps the order of what is written to it. Without
   * the device's word for the stop it is in doubt, as after any lost answer.
   */
  async #untilStopped(name: string, args: unknown, signal: AbortSignal, calledOff: AbortSignal): Promise<Outcome> {
    try {
      return await this.#carryOut(name, args, AbortSignal.any([signal, calledOff]));
    } catch (thrown) {
      signal.throwIfAborted();
      if (!calledOff.aborted) throw thrown;
      const stopped = await this.#stopping?.catch(() => undefined);
      return stopped?.status === 'acknowledged'
        ? stopCameFirst
        : { status: 'unknown', reason: 'It was called off by a stop that the device did not acknowledge.' };
    }
  }

  /** The property asked of the device now, where it can be; else the newest. */
  async read(property: string, signal: AbortSignal): Promise<Reading | undefined> {
    const asked = await this.#options.opened.peripheral.read?.(property, signal);
    for (const observation of asked ?? []) this.#take(observation);
    return this.#latest.get(property);
  }

  async #watch(stop: AbortController): Promise<void> {
    const { clock, opened } = this.#options;
    const { link } = opened;
    const { silentMs } = opened.line;
    const since = clock.monoMs();
    while (!stop.signal.aborted) {
      const age = link.figures().lastFrameAgeMs ?? clock.monoMs() - since;
      if (age > silentMs * lostAfter)
        stop.abort(new OutpostError('device-silent', `No valid frame for ${Math.round(age / 1_000)} s.`));
      else this.#become(age > silentMs ? 'degraded' : 'ready');
      await clock.sleep(silentMs / 4, stop.signal).catch(() => undefined);
    }
  }

  #become(phase: SessionPhase): void {
    if (phase === this.#phase && phase !== 'identifying') return;
    this.#phase = phase;
    this.#options.onPhase?.(phase);
  }

  #take(observation: Observation): void {
    const { id, clock, opened, onReading, onEvent } = this.#options;
    if (observation.is === 'event') {
      const declared = opened.manifest.events[observation.event];
      if (declared)
        onEvent?.({ event: observation.event, data: observation.data, personal: declared.personal ?? false });
      return;
    }
    const property = opened.manifest.properties[observation.property];
    if (!property) return;
    const { value, quality = 'good' } = observation;
    const reading: Reading = {
      peripheral: id,
      property: observation.property,
      value,
      ...(property.unit === undefined ? {} : { unit: property.unit }),
      quality: isWithin(property, value) ? quality : 'bad',
      wallMs: clock.wallMs(),
      monoMs: clock.monoMs(),
    };
    this.#latest.set(observation.property, reading);
    onReading?.(reading, property);
  }
}

const connectionOver: Outcome = { status: 'rejected', reason: 'This connection is over.' };
const stopCameFirst: Outcome = { status: 'rejected', reason: 'A stop came: it was called off, or ended.' };

const isWithin = ({ range }: Property, value: ReadingValue): boolean =>
  range === undefined || typeof value !== 'number' || (value >= range[0] && value <= range[1]);

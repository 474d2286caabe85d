/**
 * All peripherals of this device: what they tell becomes events, what they are told is carried out once or not at all.
 *
 *   Unit --reading--> rules, telemetry --+
 *        --event, phase------------------+--> emit          command --> doubt? --> Unit --> Outcome
 *                                                            stop ------------------^
 */
import type { Clock } from '#agent/core/clock.ts';
import { type DurableText, volatileText } from '#agent/core/durable-text.ts';
import type { OutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { Service } from '#agent/core/supervisor.ts';
import { Turns } from '#agent/core/turns.ts';
import type { Event, EventData } from '#agent/domain/event.ts';
import type { Reading, ReadingValue } from '#agent/domain/reading.ts';
import type { PeripheralConfig } from '#config/schema.ts';
import { isCalledOff, isStop, isWeighty } from '#drivers/command.ts';
import type { Action, Driver, Identity, Outcome, Property } from '#drivers/driver.ts';
import type { SessionEvent } from '#drivers/session.ts';
import type { Doubt, Doubts } from './doubts.ts';
import { SharedPorts } from './shared-ports.ts';
import { TelemetryFilter } from './telemetry.ts';
import { type Counted, Unit, type UnitPhase } from './unit.ts';

export interface PeripheralsOptions {
  readonly peripherals: readonly PeripheralConfig[];
  readonly loadDriver: (name: string) => Promise<Driver>;
  readonly doubts: Doubts;
  /** What a peripheral's driver keeps on the disk. Default: nothing, and it is forgotten at the end. */
  readonly memoryOf?: (peripheral: string) => DurableText;
  /** Makes incidents unique across starts. */
  readonly run: string;
  readonly clock: Clock;
  readonly health: Health;
  readonly log: Log;
  /** Default: no critical condition holds but doubts. */
  readonly isHealthy?: () => boolean;
  readonly emit: (events: readonly Event[]) => void;
  /** Every reading, for rules; those about a person too, which go nowhere else by themselves. */
  readonly onReading?: (reading: Reading, property: Property) => void;
  /** Every event that a device tells; those about a person too. */
  readonly onEvent?: (peripheral: string, event: SessionEvent) => void;
}

/** One peripheral as the status shows it. */
export interface PeripheralView extends Counted {
  readonly id: string;
  readonly driver: string;
  readonly port: string;
  readonly phase: UnitPhase;
  readonly identity: Identity | undefined;
  readonly connections: number;
  readonly queued: number;
  readonly lastFrameAgeMs: number | undefined;
  readonly roundTripMsP50: number | undefined;
  readonly roundTripMsP99: number | undefined;
  readonly readings: Readonly<Record<string, ReadingValue>>;
  readonly doubt: Doubt | undefined;
  readonly error: string | undefined;
}

interface Incident {
  readonly condition: 'lost' | 'degraded';
  readonly id: string;
  readonly sinceMs: number;
}

interface Held {
  readonly config: PeripheralConfig;
  readonly unit: Unit;
  readonly filter: TelemetryFilter;
  readonly newest: Map<string, ReadingValue>;
  /** For what weighs: one is settled before the next begins. */
  readonly turns: Turns;
  /** Stops so far: a motion that waited while one came is called off. */
  stops: number;
  incidents: number;
  incident: Incident | undefined;
  error: string | undefined;
}

export class Peripherals {
  readonly #options: PeripheralsOptions;
  readonly #records: ReadonlyMap<string, Held>;

  constructor(options: PeripheralsOptions) {
    this.#options = options;
    const ports = new SharedPorts(options.clock);
    const enabled = options.peripherals.filter((config) => config.enabled);
    this.#records = new Map(enabled.map((config) => [config.id, this.#record(config, ports)]));
    for (const { peripheral, action } of options.doubts.all()) this.#tellDoubt(peripheral, action);
  }

  services(): readonly Service[] {
    return [...this.#records.values()].map(({ unit }) => unit.service());
  }

  views(): readonly PeripheralView[] {
    return [...this.#records.values()].map(({ config, unit, newest, error }) => {
      const { figures } = unit;
      return {
        id: config.id,
        driver: config.driver,
        port: config.port,
        phase: unit.phase,
        identity: unit.identity,
        connections: unit.connections,
        queued: unit.queued + (figures?.waiting ?? 0),
        lastFrameAgeMs: figures?.lastFrameAgeMs,
        roundTripMsP50: figures?.roundTripMsP50,
        roundTripMsP99: figures?.roundTripMsP99,
        ...unit.counted,
        readings: Object.fromEntries(newest),
        doubt: this.#options.doubts.of(config.id),
        error,
      };
    });
  }

  /**
   * Carries a command out. What would move, unlock, print, alarm or switch power is refused while it is not known
   * whether the command before it was carried out. A stop waits for nothing, and no doubt holds it up.
   * @throws the signal's reason; a weighty command that was aborted is kept as a doubt
   */
  async command(peripheral: string, action: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    const record = this.#records.get(peripheral);
    if (!record) return { status: 'rejected', reason: `No peripheral is named ${peripheral}.` };
    const declared = record.unit.action(action);
    if (declared && isStop(declared)) return await this.#stop(record, action, args, signal);
    if (!declared || !isWeighty(declared)) return await record.unit.command(action, args, signal);
    const { stops } = record;
    using _turn = await record.turns.take();
    return await this.#weighty(record, action, args, signal, () => isCalledOff(declared) && record.stops > stops);
  }

  /** Nothing is written to the disk before it. Without an answer it is a doubt, which the next stop that is answered settles. */
  async #stop(record: Held, action: string, args: unknown, signal: AbortSignal): Promise<Outcome> {
    const { doubts, clock } = this.#options;
    const peripheral = record.config.id;
    record.stops += 1;
    const at = new Date(clock.wallMs()).toISOString();
    const outcome = await record.unit.command(action, args, signal);
    const doubt = doubts.of(peripheral);
    if (outcome.status === 'acknowledged' && doubt && isOfStop(record.unit, doubt)) await this.resolve(peripheral);
    if (outcome.status === 'unknown' && !doubt) {
      await doubts.keep({ peripheral, action, reason: outcome.reason, at });
      this.#tellDoubt(peripheral, action);
    }
    return outcome;
  }

  /** On the disk before the first byte: a power cut in the middle is a doubt too. */
  async #weighty(
    { config, unit }: Held,
    action: string,
    args: unknown,
    signal: AbortSignal,
    isOff: () => boolean,
  ): Promise<Outcome> {
    const peripheral = config.id;
    const doubt = this.#options.doubts.of(peripheral);
    if (doubt) {
      const reason = `Whether ${doubt.action} was carried out at ${doubt.at} is not known: look at the device and resolve it first.`;
      return { status: 'rejected', reason };
    }
    const at = new Date(this.#options.clock.wallMs()).toISOString();
    const { doubts } = this.#options;
    await doubts.keep({ peripheral, action, reason: 'The agent ended before an answer came.', at });
    // also one that came while the disk was written to
    const outcome = isOff() ? stopCameFirst : await unit.command(action, args, signal);
    if (outcome.status !== 'unknown') await doubts.settle(peripheral);
    else {
      await doubts.keep({ peripheral, action, reason: outcome.reason, at });
      this.#tellDoubt(peripheral, action);
    }
    return outcome;
  }

  /** A human has looked. @returns false when nothing was in doubt */
  async resolve(peripheral: string): Promise<boolean> {
    const settled = await this.#options.doubts.settle(peripheral);
    if (settled) this.#options.health.clear('peripheral-doubt', subjectOf(peripheral));
    return settled;
  }

  /** A property asked of the device now, or the newest; undefined when it is not known. */
  async read(peripheral: string, property: string, signal: AbortSignal): Promise<Reading | undefined> {
    return await this.#records.get(peripheral)?.unit.read(property, signal);
  }

  #record(config: PeripheralConfig, ports: SharedPorts): Held {
    const { loadDriver, clock, log, health } = this.#options;
    const isHealthy = (): boolean =>
      health.entries().every(({ severity, code }) => severity !== 'critical' || code === 'peripheral-doubt');
    const record: Held = {
      config,
      filter: new TelemetryFilter(),
      newest: new Map(),
      turns: new Turns(1),
      stops: 0,
      incidents: 0,
      incident: undefined,
      error: undefined,
      unit: new Unit({
        config,
        loadDriver,
        ports,
        clock,
        log: log.with({ peripheral: config.id }),
        memory: this.#options.memoryOf?.(config.id) ?? volatileText(),
        isHealthy: this.#options.isHealthy ?? isHealthy,
        onReading: (reading, property) => this.#onReading(record, reading, property),
        onEvent: (event) => this.#onEvent(record, event),
        onPhase: (phase, error) => this.#onPhase(record, phase, error),
      }),
    };
    return record;
  }

  #onReading({ config, filter, newest }: Held, reading: Reading, property: Property): void {
    const { emit, onReading } = this.#options;
    onReading?.(reading, property);
    if (property.personal) return;
    newest.set(reading.property, reading.value);
    const own = config.properties[reading.property];
    if (own?.upstream === false) return;
    const intervalMs = own && own.interval > 0 ? own.interval : (property.intervalMs ?? defaultIntervalMs);
    const deadband = own?.deadband ?? property.deadband ?? 0;
    if (filter.pass(reading, { intervalMs, deadband })) emit([telemetryEvent(reading)]);
  }

  #onEvent({ config }: Held, event: SessionEvent): void {
    const { emit, onEvent } = this.#options;
    onEvent?.(config.id, event);
    const lane = config.events[event.event] ?? 'event';
    if (event.personal || lane === 'none') return;
    const data = {
      peripheral: config.id,
      driver: config.driver,
      condition: 'told',
      event: event.event,
      data: { ...event.data },
    } as const;
    emit([this.#event(config.id, lane, undefined, data)]);
  }

  #onPhase(record: Held, phase: UnitPhase, error: OutpostError | undefined): void {
    const { health } = this.#options;
    const subject = subjectOf(record.config.id);
    record.error = error ? `${error.message} ${error.hint}` : phase === 'ready' ? undefined : record.error;
    if (phase === 'ready') {
      health.clear('peripheral-down', subject);
      health.clear('peripheral-degraded', subject);
      this.#endIncident(record);
    } else if (phase === 'degraded') {
      health.set('peripheral-degraded', subject, 'No valid frame for a while.');
      this.#beginIncident(record, 'degraded', undefined);
    } else if (phase === 'lost') {
      health.clear('peripheral-degraded', subject);
      health.set('peripheral-down', subject, record.error ?? 'The connection is gone.');
      this.#beginIncident(record, 'lost', error?.message);
    }
  }

  /** `degraded` becomes `lost` by an end and a start. */
  #beginIncident(record: Held, condition: Incident['condition'], detail: string | undefined): void {
    if (record.incident?.condition === condition) return;
    this.#endIncident(record);
    const { config } = record;
    record.incidents += 1;
    const id = `${this.#options.run}.peripheral.${config.id}.${record.incidents}`;
    record.incident = { condition, id, sinceMs: this.#options.clock.monoMs() };
    const data = {
      peripheral: config.id,
      driver: config.driver,
      condition,
      incident: id,
      durationMs: 0,
      ...(detail === undefined ? {} : { detail }),
    };
    this.#options.emit([this.#event(config.id, 'event', 'start', data)]);
  }

  #endIncident(record: Held): void {
    const { config, incident } = record;
    if (!incident) return;
    record.incident = undefined;
    const durationMs = Math.round(this.#options.clock.monoMs() - incident.sinceMs);
    const data = {
      peripheral: config.id,
      driver: config.driver,
      condition: incident.condition,
      incident: incident.id,
      durationMs,
    };
    this.#options.emit([this.#event(config.id, 'event', 'end', data)]);
  }

  #event(
    id: string,
    lane: 'alarm' | 'event',
    phase: 'start' | 'end' | undefined,
    data: EventData<'peripheral'>,
  ): Event {
    const { clock } = this.#options;
    return {
      kind: 'peripheral',
      ...(phase === undefined ? {} : { phase }),
      lane,
      subject: subjectOf(id),
      wallMs: clock.wallMs(),
      monoMs: clock.monoMs(),
      data,
    };
  }

  #tellDoubt(peripheral: string, action: string): void {
    this.#options.health.set(
      'peripheral-doubt',
      subjectOf(peripheral),
      `${action} may or may not have been carried out.`,
    );
  }
}

const defaultIntervalMs = 60_000;
const stopCameFirst: Outcome = { status: 'rejected', reason: 'A stop came: it was called off.' };
const isOfStop = (unit: Unit, { action }: Doubt): boolean => {
  const declared: Action | undefined = unit.action(action);
  return declared !== undefined && isStop(declared);
};
const subjectOf = (id: string): string => `peripheral/${id}`;

function telemetryEvent(reading: Reading): Event {
  const { peripheral, property, value, unit, quality, wallMs, monoMs } = reading;
  const data = {
    peripheral,
    property,
    value: typeof value === 'object' ? { ...value } : value,
    ...(unit === undefined ? {} : { unit }),
    quality,
  };
  return { kind: 'reading', lane: 'telemetry', subject: subjectOf(peripheral), wallMs, monoMs, data };
}

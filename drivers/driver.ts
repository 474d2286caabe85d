/**
 * The contract of a driver: what a device offers (a Manifest, in the terms of W3C Web of Things Thing Description 1.1),
 * how it speaks (a Protocol), how it is worked (a Peripheral), and a double of it (a Simulator).
 *
 *   Driver --manifest(options)--> Manifest      what `drivers describe` prints, and what every check rests on
 *          --protocol(options)--> Protocol      two codecs, one for each side of the line
 *          --open(context)------> Peripheral    identify, configure, observe, perform
 *          --simulator(options)-> Simulator     the device, for tests and `outpost simulate`
 */
import type { z } from 'zod';
import type { Clock } from '#agent/core/clock.ts';
import type { DurableText } from '#agent/core/durable-text.ts';
import type { Log } from '#agent/core/log.ts';
import type { ReadingMember, ReadingQuality, ReadingValue } from '#agent/domain/reading.ts';
import type { Codec } from './codec.ts';
import type { Link } from './link.ts';
import type { Simulator } from './simulator.ts';

/** What is told of a device, and can be asked. */
export interface Property {
  readonly title: string;
  readonly description?: string;
  /** Shape of its value: a number, boolean, text, one of a set, or a flat object of such. */
  readonly schema: z.ZodType<ReadingValue>;
  /** UCUM, case sensitive: `Cel`, `m/s`, `deg`, `%`, `V`, `Hz`, `1` for a count. */
  readonly unit?: string;
  /** What the device can measure; a value beyond it is passed on with quality `bad`. */
  readonly range?: readonly [least: number, most: number];
  /** Readings a second at most. */
  readonly rate?: number;
  /** A change smaller than this, of each number in the value, is not told upstream; in its unit. Default 0. */
  readonly deadband?: number;
  /** Told upstream at most this often. Default 60,000. */
  readonly intervalMs?: number;
  /** About a person (a card number): never in a log, in telemetry or on a disk unsealed. */
  readonly personal?: boolean;
}

/**
 * What an action can do in the world. `none` reads or sets nothing that anybody notices; every other class is never
 * repeated unless `idempotent` says that twice is once.
 *
 * `stop` ends what another action began (a motion, a siren), and is held up by nothing: it goes before all commands that
 * wait, also while one is in doubt; those of class `motion` and `alarm` that wait or run are called off; it is said
 * until the device acknowledges it, or its deadline. So it is idempotent, asks for no preconditions and no arguments.
 */
export const safetyClasses = [
  'none',
  'stop',
  'setting',
  'light',
  'sound',
  'alarm',
  'print',
  'lock',
  'motion',
  'power',
] as const;
export type SafetyClass = (typeof safetyClasses)[number];

/** Held before the first byte is written: the property, asked now, must have one of these values. */
export interface Precondition {
  readonly property: string;
  readonly oneOf: readonly ReadingMember[];
}

export interface Action {
  readonly title: string;
  readonly description?: string;
  /** Arguments, as a zod strictObject; `z.strictObject({})` for none. */
  readonly args: z.ZodType<Readonly<Record<string, unknown>>>;
  /** Until an answer: past it the command ends as `timeout` or `unknown`. */
  readonly deadlineMs: number;
  /** Twice is once: such a command is repeated when no answer comes, any other never. */
  readonly idempotent: boolean;
  readonly safety: SafetyClass;
  readonly preconditions?: readonly Precondition[];
  /** What the device says when it has done it: for people. */
  readonly acknowledgement: string;
  /**
   * The state that shows that it was done, where a property tells: asked when no answer came.
   * @param args as parsed
   */
  shownBy?(args: Readonly<Record<string, unknown>>): Precondition;
  /** Arguments that the simulator acknowledges: for the conformance suite and as an example for people. */
  readonly example: Readonly<Record<string, unknown>>;
}

/** What a device tells once, when it happens. */
export interface EventAffordance {
  readonly title: string;
  readonly description?: string;
  readonly data: z.ZodType<Readonly<Record<string, unknown>>>;
  readonly personal?: boolean;
}

export type Parity = 'none' | 'even' | 'odd';

/** What the driver needs of its line; configuration may override the first six. */
export interface LineNeeds {
  readonly baudRate: number;
  readonly dataBits: 7 | 8;
  readonly parity: Parity;
  readonly stopBits: 1 | 2;
  /** One speaks at a time (RS-485, two wires). */
  readonly halfDuplex: boolean;
  /** Several devices may answer on one line, so that a bus is shared by turns. */
  readonly sharedBus: boolean;
  /** From the end of an answer to the next request, ms. */
  readonly turnaroundMs: number;
  /** A frame with a pause longer than this inside is over, ms; absent: frames may pause. */
  readonly interFrameMs?: number;
  /** For an answer, ms. */
  readonly answerMs: number;
  /** After a missing answer the line is left alone for this long, so that a late one belongs to nobody, ms. */
  readonly settleMs: number;
  /** Without a valid frame for this long the device counts as degraded; three times this: lost. */
  readonly silentMs: number;
  /** Ask the kernel for single bytes at once (USB adapters wait 16 ms otherwise). */
  readonly lowLatency: boolean;
}

export interface Manifest {
  /** Of the driver. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Standard or manual that it follows. */
  readonly sources: readonly string[];
  readonly line: LineNeeds;
  /** `checksum`: a damaged frame is noticed; `none`: the protocol cannot tell. */
  readonly integrity: 'checksum' | 'none';
  readonly properties: Readonly<Record<string, Property>>;
  readonly actions: Readonly<Record<string, Action>>;
  readonly events: Readonly<Record<string, EventAffordance>>;
}

/** 8N1 at 9600, full duplex, one device: what a manifest changes, it says. */
export const plainLine: LineNeeds = {
  baudRate: 9_600,
  dataBits: 8,
  parity: 'none',
  stopBits: 1,
  halfDuplex: false,
  sharedBus: false,
  turnaroundMs: 0,
  answerMs: 1_000,
  settleMs: 200,
  silentMs: 10_000,
  lowLatency: false,
};

/** Who the device says it is; what is not known is absent. */
export interface Identity {
  readonly model: string;
  readonly maker?: string;
  readonly serial?: string;
  readonly firmware?: string;
}

/** What comes out of a peripheral: the framework adds its id, the unit and the time. */
export type Observation =
  | {
      readonly is: 'reading';
      readonly property: string;
      readonly value: ReadingValue;
      /** Default `good`. */
      readonly quality?: ReadingQuality;
    }
  | { readonly is: 'event'; readonly event: string; readonly data: Readonly<Record<string, unknown>> };

/**
 * How a command ends. `timeout`: no answer, and nothing is in doubt (nothing was written, or twice is once).
 * `unknown`: it was written, no answer came, and it may or may not have happened: a human decides.
 */
export type Outcome =
  | { readonly status: 'acknowledged'; readonly result?: Readonly<Record<string, unknown>> }
  | { readonly status: 'rejected' | 'timeout' | 'unknown'; readonly reason: string };

export type OutcomeStatus = Outcome['status'];

/** An opened instance: one device on one connection. It is thrown away with the connection. */
export interface Peripheral {
  /**
   * Asks the device who it is. It only reads: nothing moves, unlocks, prints, sounds or is set.
   * @returns undefined when what answers, or does not, is not what this driver works
   */
  identify(signal: AbortSignal): Promise<Identity | undefined>;
  /** Sets what the options ask for; idempotent, and nothing that actuates. @throws OutpostError */
  configure?(signal: AbortSignal): Promise<void>;
  /** Everything that the device tells, asked or not, until aborted. @throws OutpostError when it cannot go on */
  observe(signal: AbortSignal): AsyncIterable<Observation>;
  /** The property's value asked of the device now; absent: the last one observed is all there is. */
  read?(property: string, signal: AbortSignal): Promise<readonly Observation[]>;
  /**
   * Does it once, on its own neither repeated nor checked: `args` were parsed by the manifest's schema. One at a time,
   * but for an action of class `stop`, which may come while another is under way.
   */
  perform?(action: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Outcome>;
  /**
   * The agent ends, or gives the device up, and the line still holds: what moves by our word is stopped before it is closed.
   * After `observe`; the signal ends it within the second.
   */
  close?(signal: AbortSignal): Promise<void>;
}

/** Both sides of a line. */
export interface Protocol<FromDevice, ToDevice> {
  /** Ours: reads the device, writes to it. */
  host(): Codec<FromDevice, ToDevice>;
  /** The device's: for its double. */
  device(): Codec<ToDevice, FromDevice>;
}

export interface OpenContext<Options, FromDevice, ToDevice> {
  readonly options: Options;
  readonly link: Link<FromDevice, ToDevice>;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * What this peripheral remembers through losses, restarts and power cuts (a print journal): small, no personal data.
   * One text for all of its connections.
   */
  readonly memory: DurableText;
  /** False while the agent itself is unwell: what keeps a machine moving (a heartbeat) is to stop then. */
  isHealthy(): boolean;
}

export interface Driver<Options = unknown, FromDevice = unknown, ToDevice = unknown> {
  readonly name: string;
  /** A zod strictObject, each leaf with a default and `.meta({title, description, unit})`; see config/schema.ts. */
  readonly options: z.ZodType<Options>;
  /** Options that make a whole device where the defaults do not: for `describe`, `simulate` and the tests. */
  readonly example: Readonly<Record<string, unknown>>;
  manifest(options: Options): Manifest;
  protocol(options: Options): Protocol<FromDevice, ToDevice>;
  open(context: OpenContext<Options, FromDevice, ToDevice>): Peripheral;
  simulator(options: Options): Simulator<FromDevice, ToDevice>;
  /** A message in short, for `drivers decode` and `watch`; the message itself when absent. Personal data are left out. */
  show?(message: FromDevice): unknown;
  /**
   * What a recording of the device tells, without the questions that it answered.
   * @returns for each message what `observe` would tell, or lines of the driver's own, which hold nothing personal;
   *   called with undefined at the end
   */
  decoder(options: Options): (message: FromDevice | undefined) => readonly (Observation | DecodedLine)[];
}

/** A line of `drivers decode` that is no observation: a fix. */
export interface DecodedLine {
  readonly type: string;
}

/** A driver whose types are its own affair: what goes into its methods comes out of its other methods. */
export const sealed = <O, F, T>(driver: Driver<O, F, T>): Driver => driver as unknown as Driver;

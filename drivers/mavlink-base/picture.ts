/** What is known of the base by what it told; each packet adds to it, and yields what is to be passed on. */
import type { Observation } from '../driver.ts';
import type { ReadingValue } from '#agent/domain/reading.ts';
import { type Autopilot, autopilotOf, type Mode } from './autopilots.ts';
import type { Packet } from './codec.ts';
import type { Fields, MessageName } from './definitions.ts';
import { modeFlags, motorOutputs, systemStates } from './enums.ts';
import { isInside, type LatLon } from './fence.ts';
import { fromWire } from './route.ts';

/** A position older than this is none. */
const freshMs = 5_000;
/** MAV_SEVERITY_ERROR */
const worthTelling = 3;
const unknown16 = 0xffff;

type Reader<N extends MessageName> = (fields: Fields<N>, nowMs: number) => Iterable<Observation>;
type Readers = { readonly [N in MessageName]?: Reader<N> };

export class Picture {
  readonly #fence: readonly LatLon[];
  readonly #latest = new Map<string, ReadingValue>();
  readonly #acks = new Map<number, number>();
  #autopilot: Autopilot | undefined;
  #position: (LatLon & { readonly atMs: number }) | undefined;
  /** Items of the autopilot's mission that are waypoints, by their numbers there. */
  waypointNumbers: readonly number[] = [];
  #item = 0;

  constructor(fence: readonly LatLon[]) {
    this.#fence = fence;
  }

  get autopilot(): Autopilot | undefined {
    return this.#autopilot;
  }

  get mode(): Mode | undefined {
    return this.#latest.get('mode') as Mode | undefined;
  }

  get isArmed(): boolean | undefined {
    return this.#latest.get('armed') as boolean | undefined;
  }

  /** Index of the waypoint that a mission goes on with. */
  get nextWaypoint(): number {
    return Math.max(
      0,
      this.waypointNumbers.findIndex((number) => number >= this.#item),
    );
  }

  /** What it has just consented to, until its next heartbeat says how it is. */
  assume(known: { readonly armed?: boolean; readonly mode?: Mode }): void {
    for (const [property, value] of Object.entries(known)) this.#latest.set(property, value);
  }

  position(nowMs: number): LatLon | undefined {
    return this.#position && nowMs - this.#position.atMs <= freshMs ? this.#position : undefined;
  }

  /** The newest observation of a property. */
  latest(property: string): Observation | undefined {
    const value = this.#latest.get(property);
    return value === undefined ? undefined : { is: 'reading', property, value };
  }

  /** All that is known, for who begins to listen. */
  *known(): Generator<Observation> {
    for (const [property, value] of this.#latest) yield { is: 'reading', property, value };
    if (this.#latest.get('insideFence') !== false || !this.#position) return;
    const { latitude, longitude } = this.#position;
    yield { is: 'event', event: 'leftFence', data: { latitude, longitude } };
  }

  /** A final result that came while nobody waited for it, once. */
  takeAck(command: number): number | undefined {
    const result = this.#acks.get(command);
    this.#acks.delete(command);
    return result;
  }

  /** @param nowMs monotonic */
  take({ message }: Packet, nowMs: number): readonly Observation[] {
    const read = this.#readers[message.name] as Reader<MessageName> | undefined;
    const told = [...(read?.(message.fields, nowMs) ?? [])];
    for (const each of told) if (each.is === 'reading') this.#latest.set(each.property, each.value);
    return told;
  }

  readonly #readers: Readers = {
    HEARTBEAT: (fields) => this.#heartbeat(fields),
    GLOBAL_POSITION_INT: (fields, nowMs) => this.#globalPosition(fields, nowMs),
    LOCAL_POSITION_NED: ({ x, y, z }) => [reading('localPosition', { north: x, east: y, down: z })],
    SYS_STATUS: sysStatus,
    BATTERY_STATUS: batteryStatus,
    MISSION_CURRENT: ({ seq }) => {
      this.#item = seq;
      return [reading('waypoint', this.#waypointOf(seq))];
    },
    MISSION_ITEM_REACHED: ({ seq }) => {
      const waypoint = this.waypointNumbers.indexOf(seq) + 1;
      return waypoint > 0 ? [{ is: 'event', event: 'waypointReached', data: { waypoint } }] : [];
    },
    STATUSTEXT: ({ severity, text }) =>
      severity <= worthTelling ? [{ is: 'event', event: 'warning', data: { severity, text } }] : [],
    COMMAND_ACK: ({ command, result }) => {
      this.#acks.set(command, result);
      return [];
    },
  };

  #waypointOf(item: number): number {
    return this.waypointNumbers.findIndex((number) => number >= item) + 1;
  }

  *#heartbeat({ autopilot, base_mode, custom_mode, system_status }: Fields<'HEARTBEAT'>): Generator<Observation> {
    this.#autopilot = autopilotOf(autopilot);
    yield reading('armed', (base_mode & modeFlags.armed) !== 0);
    yield reading('mode', this.#autopilot?.modeOf(custom_mode) ?? 'other');
    const state = systemStates[system_status];
    if (state) yield reading('state', state);
  }

  *#globalPosition(fields: Fields<'GLOBAL_POSITION_INT'>, nowMs: number): Generator<Observation> {
    const place = { latitude: fromWire(fields.lat), longitude: fromWire(fields.lon) };
    // what an autopilot says before its first fix
    if (fields.lat === 0 && fields.lon === 0) return;
    this.#position = { ...place, atMs: nowMs };
    yield reading('position', place);
    yield reading('altitude', fields.alt / 1_000);
    yield reading('speed', Math.hypot(fields.vx, fields.vy) / 100);
    if (fields.hdg !== unknown16) yield reading('heading', fields.hdg / 100);
    if (this.#fence.length === 0) return;
    const isIn = isInside(this.#fence, place);
    if (!isIn && this.#latest.get('insideFence') !== false) yield { is: 'event', event: 'leftFence', data: place };
    yield reading('insideFence', isIn);
  }
}

const reading = (property: string, value: ReadingValue): Observation => ({ is: 'reading', property, value });

function* sysStatus(fields: Fields<'SYS_STATUS'>): Generator<Observation> {
  if ((fields.onboard_control_sensors_present & motorOutputs) !== 0)
    yield reading('motorOutput', (fields.onboard_control_sensors_enabled & motorOutputs) !== 0);
  if (fields.voltage_battery !== unknown16) yield reading('batteryVoltage', fields.voltage_battery / 1_000);
  if (fields.current_battery !== -1) yield reading('batteryCurrent', fields.current_battery / 100);
  if (fields.battery_remaining !== -1) yield reading('batteryRemaining', fields.battery_remaining);
}

/** The first battery alone; SYS_STATUS tells of the same one. */
function* batteryStatus(fields: Fields<'BATTERY_STATUS'>): Generator<Observation> {
  if (fields.id !== 0) return;
  const cells = fields.voltages.filter((voltage) => voltage !== unknown16);
  if (cells.length > 0) yield reading('batteryVoltage', cells.reduce((sum, cell) => sum + cell, 0) / 1_000);
  if (fields.current_battery !== -1) yield reading('batteryCurrent', fields.current_battery / 100);
  if (fields.battery_remaining !== -1) yield reading('batteryRemaining', fields.battery_remaining);
}

/**
 * A rover with ArduPilot's manners, and PX4's where asked: it drives to its waypoints, its battery drains, its parameters
 * answer, and when the station falls silent it holds.
 */
import type { Simulator } from '../simulator.ts';
import { autopilotOf } from './autopilots.ts';
import type { Packet } from './codec.ts';
import type { Fields, Message, MessageName } from './definitions.ts';
import { accepted, autopilots, commands, components, inProgress, modeFlags, vehicles } from './enums.ts';
import { isInside, type LatLon } from './fence.ts';
import type { Options } from './manifest.ts';
import type { Item } from './missions.ts';
import { fromWire, missionItems, toWire } from './route.ts';
import { batteryStatus, local, metresPerDegree, paramValue, statusText, sysStatus, version } from './telemetry.ts';

export interface RoverOptions {
  readonly autopilot?: 'ardupilot' | 'px4';
  readonly params?: Readonly<Record<string, number>>;
  /** Where it stands at first; default: in the middle of the fence. */
  readonly at?: LatLon;
}

export interface Rover extends Simulator<Packet, Packet> {
  readonly position: LatLon;
  readonly isMoving: boolean;
  /** As by another station. */
  setParameter(name: string, value: number): void;
  setMission(items: readonly Item[]): void;
  /** Does this command from now on without a word. */
  mute(command: number): void;
  /** Says of this command first that it is in progress. */
  takeTime(command: number): void;
  readonly state: Readonly<Record<string, unknown>> & { readonly mode: RoverMode; readonly armed: boolean };
}

type RoverMode = 'hold' | 'mission' | 'guided';

/** Nearer than this a waypoint is reached, m. */
const reachedM = 0.2;
const tickMs = 100;
const beatEveryMs = 1_000;
const refusedResult = 2;
const unsupported = 3;
const failed = 4;
const fullBattery = 100;
/** Of the charge a minute, standing and driving. */
const drain = { standing: 0.05, moving: 0.5 };

const paramsOf = {
  ardupilot: ({ ourSystem }: Options) => ({
    FS_GCS_ENABLE: 1,
    FS_ACTION: 2,
    FS_TIMEOUT: 3,
    FS_GCS_TIMEOUT: 3,
    SYSID_MYGCS: ourSystem,
  }),
  px4: () => ({ NAV_DLL_ACT: 1, COM_DL_LOSS_T: 3, COM_DLL_EXCEPT: 0 }),
};

export function rover(of: Options, { autopilot = 'ardupilot', params: more = {}, at }: RoverOptions = {}): Rover {
  const params: Record<string, number> = { ...paramsOf[autopilot](of), FS_ACTION: 2, ...more };
  const start = at ?? middleOf(of.fence);
  const state = {
    mode: 'hold' as RoverMode,
    armed: false,
    speed: 1,
    fenceEnabled: false,
    target: undefined as LatLon | undefined,
    mission: missionItems(
      [start, { ...start, latitude: start.latitude + 0.000_02 }],
      1,
      autopilot === 'ardupilot' ? start : undefined,
    ) as Item[],
    fence: [] as Item[],
  };
  const hasHome = autopilot === 'ardupilot';
  const body = {
    ...start,
    heading: 0,
    battery: fullBattery,
    nowMs: 0,
    beatMs: -Infinity,
    item: hasHome ? 1 : 0,
    isMoving: false,
  };
  let stationSeenMs: number | undefined;
  let isMotorCut = false;
  let sequence = 0;
  let incoming: { readonly type: number; readonly count: number; readonly items: Item[] } | undefined;

  const packet = (message: Message): Packet => {
    sequence = (sequence + 1) & 0xff;
    const signature = of.signingKey === undefined ? {} : { signature: { link: 1, time: (signedAt += 1) } };
    return { sequence, system: of.system, component: components.autopilot, message, ...signature };
  };
  let signedAt = 0;
  const muted = new Set<number>();
  const slowly = new Set<number>();
  const late: Packet[] = [];
  const isMuted = (message: Message): boolean => message.name === 'COMMAND_ACK' && muted.has(message.fields.command);
  const ack = (command: number, result: number): Packet => {
    const said = ackOf(command, result);
    if (!slowly.has(command)) return said;
    late.push(said);
    return ackOf(command, inProgress);
  };
  const ackOf = (command: number, result: number): Packet =>
    packet({
      name: 'COMMAND_ACK',
      fields: { command, result, progress: 0, result_param2: 0, target_system: of.ourSystem, target_component: 0 },
    });
  const toStation = { target_system: of.ourSystem, target_component: components.missionPlanner };
  const missionAck = (type: number, missionType: number): Packet =>
    packet({ name: 'MISSION_ACK', fields: { ...toStation, type, mission_type: missionType, opaque_id: 0 } });
  const listOf = (type: number): Item[] => (type === 1 ? state.fence : state.mission);
  const setList = (type: number, items: Item[]): void => {
    if (type === 1) state.fence = items;
    else {
      state.mission = items;
      body.item = hasHome ? 1 : 0;
    }
  };
  const setMode = (mode: RoverMode): void => {
    state.mode = mode;
    if (mode === 'hold') state.target = undefined;
  };

  const doCommand = (fields: Fields<'COMMAND_LONG'> | Fields<'COMMAND_INT'>): readonly Packet[] => {
    const { command, param1, param2 } = fields;
    switch (command) {
      case commands.arm:
        state.armed = param1 === 1;
        if (!state.armed) setMode('hold');
        return [ack(command, accepted)];
      case commands.setMode: {
        // PX4 takes its main and sub mode apart, ArduPilot its one number
        const custom = autopilot === 'px4' ? (param2 << 16) | (fields.param3 << 24) : param2;
        const mode = autopilotOf(autopilots[autopilot])?.modeOf(custom);
        if (mode !== 'hold' && mode !== 'mission' && mode !== 'guided') return [ack(command, failed)];
        setMode(mode);
        return [ack(command, accepted)];
      }
      case commands.changeSpeed:
        state.speed = param2;
        return [ack(command, accepted)];
      case commands.reposition:
        if (!('x' in fields)) return [ack(command, 8)];
        setMode('guided');
        state.target = { latitude: fromWire(fields.x), longitude: fromWire(fields.y) };
        if (param1 > 0) state.speed = param1;
        return [ack(command, accepted)];
      case commands.startMission:
        if (listOf(0).length === 0) return [ack(command, refusedResult)];
        setMode('mission');
        return [ack(command, accepted)];
      case commands.enableFence:
        state.fenceEnabled = param1 === 1;
        return [ack(command, accepted)];
      case commands.setMessageInterval:
        return [ack(command, accepted)];
      case commands.requestMessage:
        return param1 === 148 ? [ack(command, accepted), packet(version)] : [ack(command, refusedResult)];
      default:
        return [ack(command, unsupported)];
    }
  };

  const takeItem = (fields: Fields<'MISSION_ITEM_INT'>): readonly Packet[] => {
    const { seq, mission_type: type } = fields;
    if (!incoming || incoming.type !== type || incoming.items.length !== seq) return [];
    const { target_system: _system, target_component: _component, seq: _seq, ...item } = fields;
    incoming.items.push(item);
    if (incoming.items.length < incoming.count) return [request(type, seq + 1)];
    setList(type, incoming.items);
    incoming = undefined;
    return [missionAck(accepted, type)];
  };
  const request = (type: number, seq: number): Packet =>
    packet({ name: 'MISSION_REQUEST_INT', fields: { ...toStation, seq, mission_type: type } });

  const answers: { readonly [N in MessageName]?: (fields: Fields<N>) => readonly Packet[] } = {
    PARAM_REQUEST_READ: ({ param_id }) => {
      const value = params[param_id];
      return value === undefined ? [] : [packet(paramValue(autopilot, param_id, value))];
    },
    COMMAND_LONG: doCommand,
    COMMAND_INT: doCommand,
    MISSION_COUNT: ({ mission_type, count }) => {
      incoming = { type: mission_type, count, items: [] };
      return [request(mission_type, 0)];
    },
    MISSION_ITEM_INT: takeItem,
    MISSION_REQUEST_LIST: ({ mission_type }) => {
      const { length: count } = listOf(mission_type);
      return [packet({ name: 'MISSION_COUNT', fields: { ...toStation, count, mission_type, opaque_id: 0 } })];
    },
    MISSION_REQUEST_INT: ({ seq, mission_type }) => {
      const item = listOf(mission_type)[seq];
      if (!item) return [missionAck(13, mission_type)];
      const counted = { ...toStation, seq, current: 0, autocontinue: 1, mission_type };
      return [packet({ name: 'MISSION_ITEM_INT', fields: { ...counted, ...item } })];
    },
    MISSION_CLEAR_ALL: ({ mission_type }) => {
      setList(mission_type, []);
      return [missionAck(accepted, mission_type)];
    },
  };

  const receive = ({ system, message: { name, fields } }: Packet): readonly Packet[] => {
    if (name === 'HEARTBEAT' && system === of.ourSystem) stationSeenMs = body.nowMs;
    if ('target_system' in fields && fields.target_system !== of.system) return [];
    const answer = answers[name] as ((fields: Fields<MessageName>) => readonly Packet[]) | undefined;
    return answer?.(fields) ?? [];
  };

  const failsafeMs = (): number | undefined => {
    if (autopilot === 'px4') return params['NAV_DLL_ACT'] === 1 ? (params['COM_DL_LOSS_T'] ?? 10) * 1_000 : undefined;
    return params['FS_GCS_ENABLE'] === 1 && params['FS_ACTION'] === 2 ? (params['FS_TIMEOUT'] ?? 5) * 1_000 : undefined;
  };

  /** One step of the world. */
  const live = (nowMs: number): readonly Message[] => {
    const stepMs = body.nowMs === 0 ? 0 : nowMs - body.nowMs;
    body.nowMs = nowMs;
    const limitMs = failsafeMs();
    if (stationSeenMs !== undefined && limitMs !== undefined && nowMs - stationSeenMs > limitMs) setMode('hold');
    const reached = state.armed && !isMotorCut ? drive(stepMs / 1_000) : undefined;
    if (reached === undefined && (!state.armed || state.mode === 'hold')) body.isMoving = false;
    body.battery = Math.max(0, body.battery - ((body.isMoving ? drain.moving : drain.standing) * stepMs) / 60_000);
    return reached === undefined ? [] : [{ name: 'MISSION_ITEM_REACHED', fields: { seq: reached } }];
  };

  /** What is no place is done on the way to the next one. */
  const nextPlace = (): Item | undefined => {
    for (;;) {
      const item = state.mission[body.item];
      if (!item || item.command === commands.waypoint) return item;
      if (item.command === commands.changeSpeed) state.speed = item.param2;
      body.item += 1;
    }
  };

  /** @returns the number of the item that was reached */
  const drive = (seconds: number): number | undefined => {
    const isMission = state.mode === 'mission';
    const item = isMission ? nextPlace() : undefined;
    if (isMission && !item) setMode('hold');
    const target = item ? { latitude: fromWire(item.x), longitude: fromWire(item.y) } : state.target;
    body.isMoving = target !== undefined && state.mode !== 'hold' && step(target, seconds);
    if (body.isMoving || !item) return undefined;
    body.item += 1;
    return body.item - 1;
  };

  /** @returns whether it is still under way */
  const step = (target: LatLon, seconds: number): boolean => {
    const shrink = Math.cos((body.latitude * Math.PI) / 180);
    const north = (target.latitude - body.latitude) * metresPerDegree;
    const east = (target.longitude - body.longitude) * metresPerDegree * shrink;
    const left = Math.hypot(north, east);
    if (left <= reachedM) return false;
    const share = Math.min(1, (state.speed * seconds) / left);
    body.latitude += (target.latitude - body.latitude) * share;
    body.longitude += (target.longitude - body.longitude) * share;
    body.heading = ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360;
    return true;
  };

  const slow = (): readonly Message[] => {
    const battery = { voltage: 22 + (3 * body.battery) / fullBattery, current: body.isMoving ? 600 : 80 };
    return [
      {
        name: 'HEARTBEAT',
        fields: {
          type: vehicles.groundRover,
          autopilot: autopilots[autopilot],
          base_mode: modeFlags.custom | (state.armed ? modeFlags.armed : 0),
          custom_mode: customModes[autopilot][state.mode],
          system_status: isMotorCut ? 5 : state.armed ? 4 : 3,
          mavlink_version: 3,
        },
      },
      sysStatus(battery.voltage, battery.current, body.battery, isMotorCut),
      batteryStatus(battery.voltage, battery.current, body.battery),
      {
        name: 'MISSION_CURRENT',
        fields: {
          seq: Math.min(body.item, Math.max(0, state.mission.length - 1)),
          total: state.mission.length,
          mission_state: 0,
          mission_mode: 0,
          mission_id: 0,
          fence_id: 0,
          rally_points_id: 0,
        },
      },
      { name: 'LOCAL_POSITION_NED', fields: local(start, body) },
    ];
  };

  const where = (place: LatLon): Message => ({
    name: 'GLOBAL_POSITION_INT',
    fields: {
      time_boot_ms: Math.floor(body.nowMs) % 2 ** 32,
      lat: toWire(place.latitude),
      lon: toWire(place.longitude),
      alt: 12_000,
      relative_alt: 0,
      vx: body.isMoving ? Math.round(state.speed * 100) : 0,
      vy: 0,
      vz: 0,
      hdg: Math.round(body.heading * 100) % 36_000,
    },
  });

  return {
    state,
    intervalMs: tickMs,
    get position() {
      return { latitude: body.latitude, longitude: body.longitude };
    },
    get isMoving() {
      return body.isMoving;
    },
    receive: (heard) => receive(heard).filter(({ message }) => !isMuted(message)),
    setParameter(name, value) {
      params[name] = value;
    },
    setMission: (items) => setList(0, [...items]),
    mute: (command) => void muted.add(command),
    takeTime: (command) => void slowly.add(command),
    tell({ monoMs }) {
      const messages = [...live(monoMs), where(body)];
      if (monoMs - body.beatMs >= beatEveryMs) {
        body.beatMs = monoMs;
        messages.unshift(...slow());
      }
      return [...messages.map(packet), ...late.splice(0)];
    },
    provoke(event) {
      if (event === 'warning') return [packet(statusText('PreArm: Hardware safety switch'))];
      if (event === 'leftFence') return [packet(where(outsideOf(of.fence)))];
      if (event === 'waypointReached')
        return [packet({ name: 'MISSION_ITEM_REACHED', fields: { seq: state.mission.length - 1 } })];
      if (event === 'emergencyStop') isMotorCut = true;
      return [];
    },
  };
}

const customModes = {
  ardupilot: { hold: 4, mission: 10, guided: 15 },
  px4: { hold: (4 << 16) | (3 << 24), mission: (4 << 16) | (4 << 24), guided: 6 << 16 },
} as const;

function middleOf(fence: readonly LatLon[]): LatLon {
  const mean = (axis: keyof LatLon): number =>
    fence.reduce((sum, corner) => sum + corner[axis], 0) / (fence.length || 1);
  const middle = { latitude: mean('latitude'), longitude: mean('longitude') };
  if (fence.length === 0) return { latitude: 31.2304, longitude: 121.4737 };
  return isInside(fence, middle) ? middle : (fence[0] as LatLon);
}

const outsideOf = (fence: readonly LatLon[]): LatLon => ({
  latitude: Math.max(...fence.map(({ latitude }) => latitude)) + 0.01,
  longitude: fence[0]?.longitude ?? 0,
});

/** What differs between the autopilots: their modes, how a parameter is written, and what "hold when the station is lost" is. */
import { autopilots, integerTypes } from './enums.ts';

export const modes = ['hold', 'mission', 'guided', 'manual', 'other'] as const;
export type Mode = (typeof modes)[number];

export const failsafes = ['hold', 'other', 'unknown'] as const;
export type Failsafe = (typeof failsafes)[number];

export interface Verdict {
  readonly failsafe: Failsafe;
  /** Each parameter that is not as it must be, in words. */
  readonly reasons: readonly string[];
}

/** A parameter under any of its names, which editions of the firmware change, and what it has to be. */
interface Demand {
  readonly names: readonly string[];
  /** Old editions do without: then it is as it has to be. */
  readonly optional?: boolean;
  readonly must: string;
  readonly holds: (value: number, context: FailsafeContext) => boolean;
}

export interface FailsafeContext {
  /** Our system id: the autopilot has to miss us, and nobody else. */
  readonly ourSystem: number;
  /** It has to act after this long at the latest, s. */
  readonly within: number;
}

export interface Autopilot {
  readonly maker: string;
  modeOf(customMode: number): Mode;
  /** Second and third parameter of MAV_CMD_DO_SET_MODE. */
  readonly hold: readonly [main: number, sub: number];
  /** The first item of a mission is the home position, and no waypoint. */
  readonly hasHomeItem: boolean;
  /** The fence has to be switched on apart from being there. */
  readonly enablesFence: boolean;
  parameterOf(wire: number, type: number): number;
  readonly demands: readonly Demand[];
}

const within = (value: number, context: FailsafeContext): boolean => value > 0 && value <= context.within;

/** Rover/mode.h (modes); Rover/Parameters.cpp (FS_ACTION 2: Hold; FS_GCS_ENABLE 1: always, 2: not in a mission). */
const ardupilot: Autopilot = {
  maker: 'ArduPilot',
  modeOf: (customMode) => roverModes[customMode] ?? 'other',
  hold: [4, 0],
  hasHomeItem: true,
  enablesFence: true,
  parameterOf: (wire) => wire,
  demands: [
    { names: ['FS_GCS_ENABLE'], must: 'be 1 (always)', holds: (value) => value === 1 },
    { names: ['FS_ACTION'], must: 'be 2 (hold)', holds: (value) => value === 2 },
    { names: ['FS_TIMEOUT'], must: 'be short enough', holds: within },
    { names: ['FS_GCS_TIMEOUT'], optional: true, must: 'be short enough', holds: within },
    {
      names: ['SYSID_MYGCS', 'MAV_GCS_SYSID'],
      must: 'be our system id',
      holds: (value, { ourSystem }) => value === ourSystem,
    },
  ],
};

const roverModes: Readonly<Record<number, Mode>> = { 0: 'manual', 4: 'hold', 10: 'mission', 15: 'guided' };

/**
 * px4_custom_mode.h (main mode in bits 16 to 23, sub mode in 24 to 31); commander_params (NAV_DLL_ACT 1: Hold,
 * COM_DLL_EXCEPT: modes in which the loss is ignored). Integers go as their bits in the float.
 */
const px4: Autopilot = {
  maker: 'PX4',
  modeOf: (customMode) => {
    const [main, sub] = [(customMode >> 16) & 0xff, (customMode >> 24) & 0xff];
    if (main === 4) return { 3: 'hold' as const, 4: 'mission' as const }[sub] ?? 'other';
    return main === 1 ? 'manual' : main === 6 ? 'guided' : 'other';
  },
  hold: [4, 3],
  hasHomeItem: false,
  enablesFence: false,
  parameterOf: (wire, type) => {
    if (!integerTypes.has(type)) return wire;
    const view = new DataView(new ArrayBuffer(4));
    view.setFloat32(0, wire);
    return view.getInt32(0);
  },
  demands: [
    { names: ['NAV_DLL_ACT'], must: 'be 1 (hold)', holds: (value) => value === 1 },
    { names: ['COM_DL_LOSS_T'], must: 'be short enough', holds: within },
    { names: ['COM_DLL_EXCEPT'], optional: true, must: 'be 0 (in every mode)', holds: (value) => value === 0 },
  ],
};

export const autopilotOf = (autopilot: number): Autopilot | undefined =>
  autopilot === autopilots.ardupilot ? ardupilot : autopilot === autopilots.px4 ? px4 : undefined;

/** @param values of what answered, by name */
export function judgeFailsafe(
  { demands }: Autopilot,
  values: ReadonlyMap<string, number>,
  context: FailsafeContext,
): Verdict {
  const reasons: string[] = [];
  let isKnown = true;
  for (const { names, optional, must, holds } of demands) {
    const name = names.find((each) => values.has(each));
    const value = name === undefined ? undefined : values.get(name);
    if (value === undefined) {
      if (optional) continue;
      isKnown = false;
      reasons.push(`${names.join(' or ')} was not answered`);
    } else if (!holds(value, context)) reasons.push(`${name} is ${value} and must ${must}`);
  }
  return { failsafe: reasons.length === 0 ? 'hold' : isKnown ? 'other' : 'unknown', reasons };
}

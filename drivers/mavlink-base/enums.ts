/** Numbers of common.xml and minimal.xml that this driver uses, by their names there. */

export const autopilots = { ardupilot: 3, px4: 12, invalid: 8 } as const;
export const vehicles = { groundRover: 10, surfaceBoat: 11, gcs: 6 } as const;
/** MAV_COMP_ID */
export const components = { autopilot: 1, missionPlanner: 190 } as const;
/** MAV_MODE_FLAG */
export const modeFlags = { armed: 128, custom: 1 } as const;
/** MAV_STATE, by its number. */
export const systemStates = [
  'uninitialised',
  'booting',
  'calibrating',
  'standby',
  'active',
  'critical',
  'emergency',
  'poweroff',
  'terminating',
] as const;
export type SystemState = (typeof systemStates)[number];
/** MAV_SYS_STATUS_SENSOR_MOTOR_OUTPUTS */
export const motorOutputs = 0x8000;
/** MAV_CMD */
export const commands = {
  waypoint: 16,
  loiterTime: 19,
  delay: 93,
  conditionDelay: 112,
  setMode: 176,
  changeSpeed: 178,
  reposition: 192,
  enableFence: 207,
  startMission: 300,
  arm: 400,
  setMessageInterval: 511,
  requestMessage: 512,
  fenceInclusion: 5_001,
} as const;
/** MAV_FRAME */
export const frames = { global: 0, globalRelative: 3, globalInt: 5, globalRelativeInt: 6 } as const;
/** MAV_MISSION_TYPE */
export const missionTypes = { mission: 0, fence: 1 } as const;
export type MissionType = (typeof missionTypes)[keyof typeof missionTypes];
/** MAV_PARAM_TYPE: the integers among them. */
export const integerTypes: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6]);

export const accepted = 0;
export const inProgress = 5;

/** MAV_RESULT, but for accepted and in progress. */
const results: Readonly<Record<number, string>> = {
  1: 'Refused for now',
  2: 'Denied',
  3: 'Not supported',
  4: 'Failed',
  6: 'Cancelled',
  7: 'Wants COMMAND_LONG',
  8: 'Wants COMMAND_INT',
  9: 'Does not know the frame',
};
export const resultText = (result: number): string => `${results[result] ?? `Result ${result}`}.`;

/** MAV_MISSION_RESULT, but for accepted. */
const missionResults: Readonly<Record<number, string>> = {
  1: 'An error',
  2: 'The frame is not supported',
  3: 'The command is not supported',
  4: 'No room for so many',
  5: 'A parameter is wrong',
  13: 'Out of sequence',
  14: 'Denied',
  15: 'Cancelled',
};
export const missionResultText = (result: number): string => `${missionResults[result] ?? `Result ${result}`}.`;

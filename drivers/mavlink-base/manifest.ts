/** What a robot's base with an autopilot tells and does, inside of its fence and below its speed limit. */
import { z } from 'zod';
import { type Manifest, plainLine, type Property } from '../driver.ts';
import { failsafes, modes } from './autopilots.ts';
import { systemStates } from './enums.ts';
import { fenceProblem } from './fence.ts';

const latitude = z.number().min(-90).max(90).meta({ description: 'degrees, WGS 84' });
const longitude = z.number().min(-180).max(180).meta({ description: 'degrees, WGS 84' });

export const options = z.strictObject({
  system: z.int().min(1).max(255).default(1).meta({
    title: 'System id of the base',
    description: 'SYSID_THISMAV (ArduPilot) or MAV_SYS_ID (PX4).',
    restart: 'peripheral',
  }),
  ourSystem: z.int().min(1).max(255).default(255).meta({
    title: 'Our system id',
    description: 'The ground station that the autopilot has to miss: SYSID_MYGCS (ArduPilot).',
    restart: 'peripheral',
  }),
  fence: z
    .array(z.strictObject({ latitude, longitude }))
    .max(80)
    .default([])
    .refine((corners) => fenceProblem(corners) === undefined, {
      error: ({ input }) => fenceProblem(input as readonly { latitude: number; longitude: number }[]) ?? 'no fence',
    })
    .meta({
      title: 'Fence',
      description:
        'Corners of the polygon that the base stays inside of, in order, in degrees. Without one it is not armed and not sent anywhere.',
      unit: 'deg',
      restart: 'peripheral',
    }),
  speedLimit: z.number().min(0.1).max(5).default(1.5).meta({
    title: 'Speed limit',
    description: 'No command asks for more.',
    unit: 'm/s',
    restart: 'peripheral',
  }),
  failsafeWithin: z.number().min(1).max(60).default(10).meta({
    title: 'Failsafe within',
    description: 'The autopilot has to hold after so much silence at the latest; otherwise it is not armed.',
    unit: 's',
    restart: 'peripheral',
  }),
  signingKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .optional()
    .meta({
      title: 'Signing key',
      description:
        'MAVLink 2 signing: 32 bytes in hexadecimal, the same as in the autopilot. Then what is not signed is not believed.',
      secret: true,
      restart: 'peripheral',
    }),
  signingLink: z.int().min(0).max(255).default(0).meta({
    title: 'Signing link id',
    description: 'Of this connection, where the autopilot is signed to by several.',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

export const fenceStates = ['loaded', 'differs', 'none', 'unknown'] as const;
export type FenceState = (typeof fenceStates)[number];
export const missionStates = ['none', 'inside', 'refused', 'unknown'] as const;
export type MissionState = (typeof missionStates)[number];

const place = z.strictObject({ latitude, longitude });
const nothing = z.strictObject({});

const properties: Readonly<Record<string, Property>> = {
  position: { title: 'Position', schema: place, unit: 'deg', rate: 10, deadband: 0.000_02, intervalMs: 5_000 },
  altitude: {
    title: 'Altitude above mean sea level',
    schema: z.number(),
    unit: 'm',
    range: [-500, 9_000],
    rate: 10,
    deadband: 5,
  },
  heading: {
    title: 'Heading',
    schema: z.number(),
    unit: 'deg',
    range: [0, 360],
    rate: 10,
    deadband: 15,
    intervalMs: 5_000,
  },
  speed: {
    title: 'Speed over ground',
    schema: z.number(),
    unit: 'm/s',
    range: [0, 50],
    rate: 10,
    deadband: 0.3,
    intervalMs: 5_000,
  },
  localPosition: {
    title: 'Position from where it was switched on',
    schema: z.strictObject({ north: z.number(), east: z.number(), down: z.number() }),
    unit: 'm',
    rate: 10,
    deadband: 1,
  },
  batteryVoltage: { title: 'Battery voltage', schema: z.number(), unit: 'V', range: [0, 500], rate: 2, deadband: 0.3 },
  batteryCurrent: { title: 'Battery current', schema: z.number(), unit: 'A', range: [-500, 500], rate: 2, deadband: 2 },
  batteryRemaining: { title: 'Battery charge', schema: z.number(), unit: '%', range: [0, 100], rate: 2, deadband: 1 },
  mode: { title: 'Mode', schema: z.enum(modes), rate: 2 },
  armed: { title: 'Armed: the motors may turn', schema: z.boolean(), rate: 2 },
  state: { title: 'State of the autopilot', schema: z.enum(systemStates), rate: 2 },
  motorOutput: {
    title: 'The motors are let through',
    description: 'False: the safety switch or the emergency stop, which is wired in hardware, has cut them.',
    schema: z.boolean(),
    rate: 2,
  },
  insideFence: { title: 'Inside of the fence', schema: z.boolean(), rate: 10 },
  waypoint: { title: 'Waypoint that is driven to, from 1', schema: z.int().min(0), unit: '1', rate: 2 },
  failsafe: {
    title: 'What the autopilot does when we fall silent',
    description: 'As its parameters say. It is armed with `hold` alone.',
    schema: z.enum(failsafes),
  },
  fence: { title: 'The fence in the autopilot', schema: z.enum(fenceStates) },
  mission: {
    title: 'The mission in the autopilot',
    description: 'Whether it was found inside of fence and speed limit.',
    schema: z.enum(missionStates),
  },
};

const waypoints = z
  .array(place.extend({ stay: z.number().min(0).max(3_600).optional().meta({ description: 'there, s' }) }))
  .min(1)
  .max(300);

const actionsOf = ({ speedLimit, fence }: Options): Manifest['actions'] => {
  const speed = z.number().positive().max(speedLimit).meta({ description: 'm/s' });
  const motion = { safety: 'motion', idempotent: false, deadlineMs: 8_000 } as const;
  const [first, second] = exampleWay(fence);
  /** What ends a motion is never refused for what is in doubt of the one before, and said until it is acknowledged. */
  const calming = { safety: 'stop', idempotent: true, deadlineMs: 8_000 } as const;
  return {
    disarm: {
      title: 'Disarm',
      args: nothing,
      ...calming,
      acknowledgement: 'COMMAND_ACK of COMPONENT_ARM_DISARM',
      shownBy: () => ({ property: 'armed', oneOf: [false] }),
      example: {},
    },
    hold: {
      title: 'Stop and hold',
      args: nothing,
      ...calming,
      acknowledgement: 'COMMAND_ACK of DO_SET_MODE; the heartbeat then says hold',
      shownBy: () => ({ property: 'mode', oneOf: ['hold'] }),
      example: {},
    },
    arm: {
      title: 'Arm',
      description: 'Only where the autopilot holds when we fall silent, has the fence, and stands inside of it.',
      args: nothing,
      ...motion,
      deadlineMs: 20_000,
      preconditions: [
        { property: 'failsafe', oneOf: ['hold'] },
        { property: 'fence', oneOf: ['loaded'] },
      ],
      acknowledgement: 'COMMAND_ACK of COMPONENT_ARM_DISARM',
      shownBy: () => ({ property: 'armed', oneOf: [true] }),
      example: {},
    },
    goTo: {
      title: 'Drive to a place',
      description: 'In a straight line, which must lie inside of the fence.',
      args: place.extend({ speed: speed.optional() }),
      ...motion,
      acknowledgement: 'COMMAND_ACK of DO_REPOSITION; it drives on from there',
      shownBy: () => ({ property: 'mode', oneOf: ['guided'] }),
      example: { ...first },
    },
    setSpeed: {
      title: 'Set the speed',
      args: z.strictObject({ speed }),
      deadlineMs: 8_000,
      idempotent: true,
      safety: 'motion',
      acknowledgement: 'COMMAND_ACK of DO_CHANGE_SPEED',
      example: { speed: Math.min(1, speedLimit) },
    },
    uploadMission: {
      title: 'Load a mission',
      description: 'Waypoints and the ways between them must lie inside of the fence. Not while one is being driven.',
      args: z.strictObject({ waypoints, speed: speed.optional() }),
      deadlineMs: 120_000,
      // the same list loaded twice is the same list, and nothing moves by it
      idempotent: true,
      safety: 'setting',
      acknowledgement: 'MISSION_ACK after the last item',
      example: { waypoints: [first, second] },
    },
    downloadMission: {
      title: 'Fetch the mission',
      args: nothing,
      deadlineMs: 120_000,
      idempotent: true,
      safety: 'none',
      acknowledgement: 'MISSION_COUNT and its items',
      example: {},
    },
    startMission: {
      title: 'Drive the mission',
      description: 'The one in the autopilot, fetched and found inside of fence and speed limit just before.',
      args: nothing,
      ...motion,
      deadlineMs: 120_000,
      preconditions: [
        { property: 'failsafe', oneOf: ['hold'] },
        { property: 'mission', oneOf: ['inside'] },
      ],
      acknowledgement: 'COMMAND_ACK of MISSION_START',
      shownBy: () => ({ property: 'mode', oneOf: ['mission'] }),
      example: {},
    },
    clearMission: {
      title: 'Clear the mission',
      args: nothing,
      deadlineMs: 8_000,
      idempotent: true,
      safety: 'setting',
      acknowledgement: 'MISSION_ACK',
      example: {},
    },
    readParameter: {
      title: 'Read a parameter',
      args: z.strictObject({ name: z.string().regex(/^[A-Z0-9_]{1,16}$/) }),
      deadlineMs: 8_000,
      idempotent: true,
      safety: 'none',
      acknowledgement: 'PARAM_VALUE',
      example: { name: 'FS_ACTION' },
    },
  };
};

interface Corner {
  readonly latitude: number;
  readonly longitude: number;
}

/** Two places near the middle of the fence. */
function exampleWay(fence: readonly Corner[]): readonly [Corner, Corner] {
  const mean = (axis: keyof Corner): number =>
    fence.reduce((sum, corner) => sum + corner[axis], 0) / (fence.length || 1);
  const middle = { latitude: mean('latitude'), longitude: mean('longitude') };
  return [middle, { ...middle, latitude: middle.latitude + 0.000_02 }];
}

export const manifest = (of: Options): Manifest => ({
  name: 'mavlink-base',
  title: 'Robot base, MAVLink 2',
  description: 'An ArduPilot Rover or PX4 Rover under a robot: position, battery, mode, missions; fenced and limited.',
  sources: [
    'mavlink.io/en/guide: serialization, message signing; mavlink.io/en/services: command, mission, parameter',
    'github.com/mavlink/mavlink message_definitions/v1.0: minimal.xml, standard.xml, common.xml',
    'ArduPilot Rover parameters FS_GCS_ENABLE, FS_ACTION, FS_TIMEOUT, SYSID_MYGCS; PX4 NAV_DLL_ACT, COM_DL_LOSS_T',
  ],
  line: { ...plainLine, baudRate: 57_600, answerMs: 700, settleMs: 200, silentMs: 3_000 },
  integrity: 'checksum',
  properties,
  actions: actionsOf(of),
  events: {
    waypointReached: { title: 'A waypoint was reached', data: z.strictObject({ waypoint: z.int().min(0) }) },
    leftFence: { title: 'The base is outside of the fence', data: place },
    warning: {
      title: 'The autopilot warns',
      description: 'STATUSTEXT of severity error or worse.',
      data: z.strictObject({ severity: z.int().min(0).max(7), text: z.string() }),
    },
  },
});

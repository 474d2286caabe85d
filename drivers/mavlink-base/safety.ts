/** What has to be so before anything moves: the autopilot's own failsafe, the fence in it, and its mission. */
import type { Log } from '#agent/core/log.ts';
import type { Autopilot, Verdict } from './autopilots.ts';
import { judgeFailsafe } from './autopilots.ts';
import type { Fields } from './definitions.ts';
import { commands, missionTypes } from './enums.ts';
import type { Commander } from './commander.ts';
import { type Exchange, fieldsOf } from './exchange.ts';
import type { FenceState, MissionState, Options } from './manifest.ts';
import { download, isSameList, upload } from './missions.ts';
import { fenceItems, routeOf, type Waypoint } from './route.ts';

const paramTries = 2;

export interface Safety {
  readonly verdict: Verdict;
  readonly fence: FenceState;
  readonly mission: MissionState;
  /** Why the mission may not be driven. */
  readonly refusal: string | undefined;
  readonly waypoints: readonly Waypoint[];
  /** Items of the autopilot that these waypoints are. */
  readonly numbers: readonly number[];
}

export const unsafe: Safety = {
  verdict: { failsafe: 'unknown', reasons: ['its parameters were not read'] },
  fence: 'unknown',
  mission: 'unknown',
  refusal: 'The mission was not fetched.',
  waypoints: [],
  numbers: [],
};

/** @returns undefined when it does not answer, or does not know the name */
export async function readParameter(
  exchange: Exchange,
  autopilot: Autopilot,
  name: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const isIt = ({ param_id }: Fields<'PARAM_VALUE'>): boolean => param_id === name;
  for (let tries = 0; tries < paramTries; tries += 1) {
    const answer = await exchange.request(
      { name: 'PARAM_REQUEST_READ', fields: { ...exchange.target, param_id: name, param_index: -1 } },
      { PARAM_VALUE: isIt },
      signal,
    );
    if (answer.is === 'lost') return undefined;
    const value = answer.is === 'answered' ? fieldsOf(answer.message, 'PARAM_VALUE') : undefined;
    if (value) return autopilot.parameterOf(value.param_value, value.param_type);
  }
  return undefined;
}

export async function readFailsafe(
  exchange: Exchange,
  autopilot: Autopilot,
  { ourSystem, failsafeWithin }: Options,
  signal: AbortSignal,
): Promise<Verdict> {
  const values = new Map<string, number>();
  for (const { names } of autopilot.demands) {
    for (const name of names) {
      const value = await readParameter(exchange, autopilot, name, signal);
      if (value === undefined) continue;
      values.set(name, value);
      break;
    }
  }
  return judgeFailsafe(autopilot, values, { ourSystem, within: failsafeWithin });
}

export async function readFence(exchange: Exchange, { fence }: Options, signal: AbortSignal): Promise<FenceState> {
  if (fence.length === 0) return 'none';
  const there = await download(exchange, missionTypes.fence, signal);
  if (there.is === 'failed') return 'unknown';
  return isSameList(there.items, fenceItems(fence)) ? 'loaded' : 'differs';
}

/** Loads the fence where it is not the same already, and has it watched. */
export async function loadFence(
  { exchange, commander, autopilot, log }: { exchange: Exchange; commander: Commander; autopilot: Autopilot; log: Log },
  options: Options,
  signal: AbortSignal,
): Promise<FenceState> {
  let state = await readFence(exchange, options, signal);
  if (state === 'none') return state;
  if (state !== 'loaded') {
    const outcome = await upload(exchange, missionTypes.fence, fenceItems(options.fence), signal);
    if (outcome.status !== 'acknowledged')
      log.warn('The fence was not taken by the autopilot.', { reason: outcome.reason });
    state = await readFence(exchange, options, signal);
  }
  if (state !== 'loaded' || !autopilot.enablesFence) return state;
  const outcome = await commander.long(commands.enableFence, [1], signal);
  if (outcome.status === 'acknowledged') return 'loaded';
  log.warn('The autopilot does not watch the fence.', { reason: outcome.reason });
  return 'differs';
}

export async function readMission(
  exchange: Exchange,
  autopilot: Autopilot,
  options: Options,
  signal: AbortSignal,
): Promise<Pick<Safety, 'mission' | 'refusal' | 'waypoints' | 'numbers'>> {
  const there = await download(exchange, missionTypes.mission, signal);
  if (there.is === 'failed') return unsafe;
  const route = routeOf(there.items, autopilot.hasHomeItem, options);
  if (typeof route === 'string') return { mission: 'refused', refusal: route, waypoints: [], numbers: [] };
  const { waypoints, numbers } = route;
  return waypoints.length === 0
    ? { mission: 'none', refusal: 'The autopilot has no mission.', waypoints, numbers }
    : { mission: 'inside', refusal: undefined, waypoints, numbers };
}

/** Waypoints as a mission's items, and whether a mission, whoever made it, stays inside of fence and speed limit. Pure. */
import { commands, frames } from './enums.ts';
import { isInside, isWayInside, type LatLon } from './fence.ts';
import type { Item } from './missions.ts';

export interface Waypoint extends LatLon {
  /** Stays there for so long, s. */
  readonly stay?: number | undefined;
}

export interface Limits {
  readonly fence: readonly LatLon[];
  /** m/s */
  readonly speedLimit: number;
}

export interface Route {
  readonly waypoints: readonly Waypoint[];
  /** Items before the first waypoint of the list, by which the autopilot's numbers are ahead of ours. */
  readonly numbers: readonly number[];
}

const scale = 1e7;
export const toWire = (degrees: number): number => Math.round(degrees * scale);
export const fromWire = (value: number): number => value / scale;

const item = (command: number, place: LatLon, params: Partial<Item> = {}): Item => ({
  frame: frames.globalRelative,
  command,
  param1: 0,
  param2: 0,
  param3: 0,
  param4: 0,
  x: toWire(place.latitude),
  y: toWire(place.longitude),
  z: 0,
  ...params,
});

/** @param home where the autopilot keeps its home in the list: given, it goes first */
export function missionItems(waypoints: readonly Waypoint[], speed: number, home: LatLon | undefined): readonly Item[] {
  const slow = item(commands.changeSpeed, nowhere, { frame: frames.global, param1: 1, param2: speed, param3: -1 });
  return [
    ...(home ? [item(commands.waypoint, home, { frame: frames.global })] : []),
    slow,
    ...waypoints.map((waypoint) => item(commands.waypoint, waypoint, { param1: waypoint.stay ?? 0 })),
  ];
}

const nowhere: LatLon = { latitude: 0, longitude: 0 };

/** One polygon to stay inside of; common.xml, MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION. */
export const fenceItems = (fence: readonly LatLon[]): readonly Item[] =>
  fence.map((corner) => item(commands.fenceInclusion, corner, { frame: frames.global, param1: fence.length }));

const placed: ReadonlySet<number> = new Set([commands.waypoint, commands.loiterTime]);
const harmless: ReadonlySet<number> = new Set([commands.delay, commands.conditionDelay]);

/** @returns where a mission leads, or why it may not be driven */
export function routeOf(items: readonly Item[], hasHomeItem: boolean, limits: Limits): Route | string {
  const waypoints: Waypoint[] = [];
  const numbers: number[] = [];
  for (const [number, each] of items.entries()) {
    if (hasHomeItem && number === 0) continue;
    if (placed.has(each.command)) {
      waypoints.push({ latitude: fromWire(each.x), longitude: fromWire(each.y), stay: each.param1 });
      numbers.push(number);
    } else if (each.command === commands.changeSpeed) {
      if (!(each.param2 > 0 && isWithinLimit(each.param2, limits)))
        return `Item ${number} sets a speed of ${each.param2} m/s.`;
    } else if (!harmless.has(each.command))
      return `Item ${number} is command ${each.command}, which is not let through.`;
  }
  return routeProblem(waypoints, limits) ?? { waypoints, numbers };
}

/** Through a float of four bytes, 1.5 comes back as 1.5 and 1.2 as a little more. */
const isWithinLimit = (speed: number, { speedLimit }: Limits): boolean => speed <= Math.fround(speedLimit);

/** @returns why these waypoints may not be driven to, one after another */
export function routeProblem(waypoints: readonly LatLon[], { fence }: Limits): string | undefined {
  if (fence.length === 0) return 'No fence is configured.';
  const outside = waypoints.findIndex((waypoint) => !isInside(fence, waypoint));
  if (outside >= 0) return `Waypoint ${outside + 1} is outside of the fence.`;
  const crossing = waypoints.findIndex((waypoint, at) => {
    const next = waypoints[at + 1];
    return next !== undefined && !isWayInside(fence, waypoint, next);
  });
  return crossing >= 0 ? `The way from waypoint ${crossing + 1} to ${crossing + 2} leaves the fence.` : undefined;
}

/** @returns why it may not be driven from here to there */
export function wayProblem(from: LatLon | undefined, to: LatLon, { fence }: Limits): string | undefined {
  if (fence.length === 0) return 'No fence is configured.';
  if (!isInside(fence, to)) return 'The destination is outside of the fence.';
  if (!from) return 'The position is not known.';
  if (!isInside(fence, from)) return 'The base is outside of the fence.';
  return isWayInside(fence, from, to) ? undefined : 'The way there leaves the fence.';
}

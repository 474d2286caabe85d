/**
 * Who is on the street when: an endless story in scenes of forty seconds, each a function of the seed and its number.
 *
 *   far pavement   ---> walkers <---          [the stop: five gather, wait, leave]
 *   road           crossing people · cars in the gaps
 *   near pavement  <-- walkers -->    [one lingers, to and fro]
 */
import { type Random, seededRandom } from '#agent/core/random.ts';
import { type CarLooks, randomCar } from './car.ts';
import { type Looks, type Pose, randomLooks } from './figure.ts';
import { halfWidthAt } from './view.ts';

export const sceneSeconds = 40;

/** Somebody is at x, z (metres) at this second, and walks in a straight line to the next point. */
export interface Waypoint {
  readonly at: number;
  readonly x: number;
  readonly z: number;
  /** Where one who stands still looks; radians as `Pose.heading`. */
  readonly facing?: number;
}

export interface Walker {
  readonly id: number;
  readonly looks: Looks;
  readonly path: readonly Waypoint[];
}

export interface Car {
  readonly id: number;
  readonly looks: CarLooks;
  readonly z: number;
  readonly direction: 1 | -1;
  /** Second at which its middle passes the middle of the picture. */
  readonly passes: number;
}

export interface Scene {
  readonly walkers: readonly Walker[];
  readonly cars: readonly Car[];
}

export const carSpeed = 6;
const farPavement = [15, 17.2] as const;
const nearPavement = [8.6, 9.7] as const;
const stop = { x: 4.2, z: 16.2 } as const;
const lingering = { x: 1, z: 9.1 } as const;
const crossingX = -0.4;
const passersByCount = 8;
/** Ids of one scene; people from 1, cars from 80. */
const idsPerScene = 100;

const between = (random: Random, [low, high]: readonly [number, number]): number => low + (high - low) * random();
const outside = (z: number): number => halfWidthAt(z) + 0.7;
const towardsCamera = -Math.PI / 2;

/** @param number of the scene; -1 and later */
export function scene(seed: number, number: number): Scene {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 2, 0x85ebca6b));
  const start = number * sceneSeconds;
  const paths = [
    ...gathering(random, start),
    linger(random, start),
    ...crossings(random, start),
    ...passersBy(random, start),
  ];
  const firstId = (number + 1) * idsPerScene + 1;
  return {
    walkers: paths.map((path, index) => ({ id: firstId + index, looks: randomLooks(random), path })),
    cars: [3, 6.5, 10, 24, 28].map((passes, index) => ({
      id: firstId + 79 + index,
      looks: randomCar(random),
      z: index % 2 === 0 ? 11.2 : 13.3,
      direction: index % 2 === 0 ? 1 : -1,
      passes: start + passes + random(),
    })),
  };
}

/** Comes in at one edge, walks to a place, stays, and leaves by an edge. */
function visit(random: Random, place: Waypoint, leaves: number, exit: 1 | -1): Waypoint[] {
  const speed = between(random, [1.15, 1.45]);
  const entry = random() < 0.7 ? 1 : -1;
  const from = entry * outside(place.z);
  const to = exit * outside(place.z);
  return [
    { at: place.at - Math.abs(from - place.x) / speed, x: from, z: place.z },
    place,
    { ...place, at: leaves },
    { at: leaves + Math.abs(to - place.x) / speed, x: to, z: place.z },
  ];
}

function gathering(random: Random, start: number): Waypoint[][] {
  return [-5, -3, 2, 4.5, 7].map((arrives, index) => {
    const facing =
      index % 2 === 0 ? towardsCamera + between(random, [-0.9, 0.9]) : towardsCamera + between(random, [-1.2, 1.2]);
    const place = {
      at: start + arrives + 0.5 * random(),
      x: stop.x + (index - 2) * 0.98 + between(random, [-0.15, 0.15]),
      z: stop.z + (index % 2 === 0 ? -0.5 : 0.6),
      facing,
    };
    return visit(random, place, start + 29 + 3 * random(), random() < 0.5 ? 1 : -1);
  });
}

function linger(random: Random, start: number): Waypoint[] {
  const edge = -outside(lingering.z);
  const toEdge = (x: number): number => Math.abs(edge - x) / 1.2;
  let x: number = lingering.x;
  let at = start - 4;
  const path: Waypoint[] = [{ at: at - toEdge(x), x: edge, z: lingering.z }];
  for (let turn = 0; turn < 5; turn++) {
    const facing = towardsCamera + between(random, [-0.8, 0.8]);
    const stays = between(random, [2.5, 4]);
    path.push({ at, x, z: lingering.z, facing }, { at: at + stays, x, z: lingering.z, facing });
    const next = lingering.x + (turn % 2 === 0 ? 1 : -0.4) * between(random, [0.5, 1]);
    at += stays + Math.abs(next - x) / 0.7;
    x = next;
  }
  return [...path, { at, x, z: lingering.z }, { at: at + toEdge(x), x: edge, z: lingering.z }];
}

/** Over the road in the gaps between the cars: two there, one back. */
function crossings(random: Random, start: number): Waypoint[][] {
  return [14, 15.5, 32].map((steps, index) => {
    const speed = between(random, [1.25, 1.5]);
    const inwards = index !== 2;
    const far = between(random, farPavement);
    const near = between(random, nearPavement);
    const [z1, z2] = inwards ? [far, near] : [near, far];
    const x = crossingX + between(random, [-0.8, 0.8]);
    const begins = start + steps;
    const [side1, side2] = [random() < 0.5 ? -1 : 1, random() < 0.5 ? -1 : 1];
    const [from, to] = [side1 * outside(z1), side2 * outside(z2)];
    const over = begins + Math.abs(z2 - z1) / speed;
    return [
      { at: begins - Math.abs(from - x) / speed, x: from, z: z1 },
      { at: begins, x, z: z1 },
      { at: over, x, z: z2 },
      { at: over + Math.abs(to - x) / speed, x: to, z: z2 },
    ];
  });
}

function passersBy(random: Random, start: number): Waypoint[][] {
  return Array.from({ length: passersByCount }, (_walker, index) => {
    const z = between(random, index % 2 === 0 ? nearPavement : farPavement);
    const speed = between(random, [1.05, 1.6]);
    const direction = random() < 0.5 ? 1 : -1;
    const at = start + ((index + random() * 0.6) * sceneSeconds) / passersByCount;
    const edge = outside(z);
    return [
      { at, x: -direction * edge, z },
      { at: at + (2 * edge) / speed, x: direction * edge, z },
    ];
  });
}

/** @returns undefined before the first and after the last point of the path */
export function poseAt({ path }: Walker, at: number): Pose | undefined {
  const here = pointAt(path, at);
  if (!here || at < (path[0]?.at ?? 0) || at > (path.at(-1)?.at ?? 0)) return undefined;
  const around = [-0.3, -0.15, 0, 0.15, 0.3].map((offset) => pointAt(path, at + offset) ?? here);
  const towardsX = around.reduce((sum, point) => sum + Math.cos(point.heading), 0);
  const towardsZ = around.reduce((sum, point) => sum + Math.sin(point.heading), 0);
  return {
    x: here.x,
    z: here.z,
    heading: Math.atan2(towardsZ, towardsX),
    step: (here.walked / 1.4) * 2 * Math.PI,
    stride: Math.min(1, around.reduce((sum, point) => sum + point.speed, 0) / around.length / 1.15),
  };
}

interface PathPoint {
  readonly x: number;
  readonly z: number;
  readonly heading: number;
  readonly speed: number;
  readonly walked: number;
}

function pointAt(path: readonly Waypoint[], at: number): PathPoint | undefined {
  let walked = 0;
  for (const [index, from] of path.entries()) {
    const to = path[index + 1];
    if (!to) return undefined;
    const length = Math.hypot(to.x - from.x, to.z - from.z);
    const duration = to.at - from.at;
    if (at > to.at && index + 2 < path.length) {
      walked += length;
      continue;
    }
    const share = Math.min(1, Math.max(0, (at - from.at) / duration));
    const moving = length > 0.01;
    return {
      x: from.x + (to.x - from.x) * share,
      z: from.z + (to.z - from.z) * share,
      heading: moving ? Math.atan2(to.z - from.z, to.x - from.x) : (from.facing ?? towardsCamera),
      speed: moving ? length / duration : 0,
      walked: walked + length * share,
    };
  }
  return undefined;
}

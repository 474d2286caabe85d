/**
 * A rendered street as a camera, where no footage can be had: the same frames for the same seed on every machine.
 *
 *   sim://street?seed=1 --story--> who is where at this second --figures, cars--> rgb24
 *                                                            \--owner of each pixel--> truth
 */
import type { Box } from '#agent/domain/box.ts';
import { carSpeed, poseAt, type Scene, scene, sceneSeconds } from './story.ts';
import { parseStreetUrl } from './address.ts';
import { drawCar } from './car.ts';
import type { Easel } from './easel.ts';
import { drawPerson } from './figure.ts';
import { Grain } from './grain.ts';
import { paintSetting } from './setting.ts';
import { halfWidthAt, pictureSize } from './view.ts';
import { type Visible, visibleObjects } from './visible.ts';

export interface StreetObject {
  /** The same for the same person or car in every frame. */
  readonly id: number;
  readonly label: 'person' | 'car';
  /** The visible part, normalised. */
  readonly box: Box;
}

export interface Street {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** What the address asks for; the story goes on after it, and any frame from 0 can be had. */
  readonly frames: number;
  /** rgb24, width * height * 3 bytes; the caller's own. */
  frame(n: number): Promise<Buffer>;
  /** Everything of which at least a third can be seen in this frame. */
  truth(n: number): readonly StreetObject[];
}

interface Actor {
  readonly id: number;
  readonly label: 'person' | 'car';
  readonly z: number;
  /** Of its width, 0..1: the rest is past the picture's edge. */
  readonly inside: number;
  readonly draw: (easel: Easel) => void;
}

/** What shows less of itself is not part of the truth: neither a miss nor a find could be blamed on a detector. */
const leastVisible = 1 / 3;

interface Painted {
  readonly rgb: Uint8Array;
  readonly objects: readonly StreetObject[];
}

/** @param url `sim://street?seed=1&fps=10&seconds=60`  @throws OutpostError sim-url */
export function openStreet(url: string): Street {
  const { seed, fps, seconds } = parseStreetUrl(url);
  const setting = paintSetting(seed);
  const scenes = sceneCache(seed);
  const grain = new Grain(seed);
  let last: { readonly n: number; readonly painted: Painted } | undefined;
  const paint = (n: number): Painted => {
    if (last?.n !== n) last = { n, painted: paintFrame(actorsAt(scenes, n / fps), setting) };
    return last.painted;
  };
  return {
    ...pictureSize,
    fps,
    frames: Math.max(1, Math.round(fps * seconds)),
    frame: (n) => Promise.resolve(grain.added(paint(n).rgb, n)),
    truth: (n) => paint(n).objects,
  };
}

function sceneCache(seed: number): (number: number) => Scene {
  const known = new Map<number, Scene>();
  return (number) => {
    const before = known.get(number);
    if (before) return before;
    if (known.size > 8) known.clear();
    const made = scene(seed, number);
    known.set(number, made);
    return made;
  };
}

/** Everybody in the picture at this second, the farthest first. */
function actorsAt(scenes: (number: number) => Scene, at: number): Actor[] {
  const now = Math.floor(at / sceneSeconds);
  const actors = [now - 1, now, now + 1]
    .filter((number) => number >= -1)
    .flatMap((number) => actorsOf(scenes(number), at));
  return actors.sort((a, b) => b.z - a.z || a.id - b.id);
}

function actorsOf({ walkers, cars }: Scene, at: number): Actor[] {
  const people = walkers.flatMap((walker): Actor[] => {
    const pose = poseAt(walker, at);
    if (!pose) return [];
    return [
      {
        id: walker.id,
        label: 'person',
        z: pose.z,
        inside: inside(pose.x, pose.z, 0.5),
        draw: (easel) => drawPerson(easel, walker.looks, pose),
      },
    ];
  });
  const passing = cars.flatMap((car): Actor[] => {
    const x = car.direction * (at - car.passes) * carSpeed;
    if (Math.abs(x) > halfWidthAt(car.z) + car.looks.length) return [];
    return [
      {
        id: car.id,
        label: 'car',
        z: car.z,
        inside: inside(x, car.z, car.looks.length),
        draw: (easel) => drawCar(easel, car.looks, x, car.z, car.direction),
      },
    ];
  });
  return [...people, ...passing];
}

function inside(x: number, z: number, length: number): number {
  const half = halfWidthAt(z);
  return Math.max(0, Math.min(half, x + length / 2) - Math.max(-half, x - length / 2)) / length;
}

function paintFrame(actors: readonly Actor[], setting: Uint8Array): Painted {
  const rgb = setting.slice();
  const easel: Easel = {
    raster: { ...pictureSize, rgb },
    owners: new Uint8Array(pictureSize.width * pictureSize.height),
    owner: 0,
    painted: new Uint32Array(256),
  };
  actors.forEach((actor, index) => {
    easel.owner = index + 1;
    actor.draw(easel);
  });
  const objects = visibleObjects(easel).flatMap(({ owner, share, box }: Visible): StreetObject[] => {
    const actor = actors[owner - 1];
    return actor && share * actor.inside >= leastVisible ? [{ id: actor.id, label: actor.label, box }] : [];
  });
  return { rgb, objects };
}

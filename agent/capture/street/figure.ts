/**
 * A walking person as a small skeleton in three dimensions, drawn as lit limbs: any direction, any moment of a step.
 *
 *   pose (where, heading, step) --joints--> limbs --far to near--> easel
 *
 * Proportions are those of an adult as shares of the height (Winter, Biomechanics and Motor Control of Human Movement).
 */
import type { Colour, PixelPoint } from '#agent/core/raster.ts';
import type { Random } from '#agent/core/random.ts';
import { type Easel, ellipse, paintLimb, paintPolygon, shaded } from './easel.ts';
import { project, scaleAt } from './view.ts';

export interface Looks {
  /** Metres. */
  readonly height: number;
  /** 1: as the proportions say. */
  readonly girth: number;
  readonly skin: Colour;
  readonly hair: Colour;
  readonly longHair: boolean;
  readonly top: Colour;
  readonly legs: Colour;
  readonly shoes: Colour;
  /** Down to here the coat reaches, share of the height; the hip is 0.5. */
  readonly hem: number;
  readonly bag: Colour | undefined;
}

export interface Pose {
  readonly x: number;
  readonly z: number;
  /** 0 to the right, a quarter turn away from the camera. */
  readonly heading: number;
  /** Of the gait's cycle, radians. */
  readonly step: number;
  /** 0 standing, 1 walking. */
  readonly stride: number;
}

const skins: readonly Colour[] = [
  [236, 198, 172],
  [224, 180, 150],
  [198, 150, 118],
  [150, 104, 78],
  [110, 76, 58],
];
const hairs: readonly Colour[] = [
  [28, 24, 22],
  [52, 38, 28],
  [92, 64, 42],
  [150, 118, 74],
  [128, 124, 120],
];
const tops: readonly Colour[] = [
  [38, 44, 60],
  [150, 36, 40],
  [214, 212, 206],
  [44, 82, 140],
  [70, 74, 78],
  [186, 150, 60],
  [46, 98, 72],
  [24, 24, 28],
  [122, 92, 130],
  [190, 110, 70],
];
const bottoms: readonly Colour[] = [
  [38, 46, 72],
  [30, 30, 34],
  [84, 78, 68],
  [62, 84, 124],
  [110, 104, 92],
];

export function randomLooks(random: Random): Looks {
  const pick = <T>(list: readonly [T, ...T[]] | readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  return {
    height: 1.6 + 0.26 * random(),
    girth: 0.92 + 0.22 * random(),
    skin: pick(skins),
    hair: pick(hairs),
    longHair: random() < 0.35,
    top: pick(tops),
    legs: pick(bottoms),
    shoes: pick([
      [24, 22, 22],
      [70, 48, 34],
      [220, 218, 214],
    ]),
    hem: random() < 0.3 ? 0.36 : 0.47,
    bag: random() < 0.4 ? pick(tops) : undefined,
  };
}

/** Forward, to its left, up; shares of the height. */
type Joint = readonly [forward: number, left: number, up: number];

interface Limb {
  readonly from: Joint;
  readonly to: Joint;
  readonly radii: readonly [number, number];
  readonly colour: Colour;
  /** Added to its distance when limbs are ordered. */
  readonly behind?: number;
}

export function drawPerson(easel: Easel, looks: Looks, pose: Pose): void {
  drawShadow(easel, pose);
  const away = (joint: Joint): number => joint[0] * Math.sin(pose.heading) + joint[1] * Math.cos(pose.heading);
  const distance = ({ from, to, behind = 0 }: Limb): number => (away(from) + away(to)) / 2 + behind;
  const limbs = [...legLimbs(looks, pose), ...bodyLimbs(looks, pose), ...armLimbs(looks, pose), ...headLimbs(looks)];
  const size = looks.height * scaleAt(pose.z);
  for (const { from, to, radii, colour } of limbs.sort((a, b) => distance(b) - distance(a))) {
    paintLimb(easel, seen(from, looks, pose), seen(to, looks, pose), [radii[0] * size, radii[1] * size], colour);
  }
  drawFace(easel, looks, pose);
}

function seen([forward, left, up]: Joint, looks: Looks, pose: Pose): PixelPoint {
  const across = forward * Math.cos(pose.heading) - left * Math.sin(pose.heading);
  const away = forward * Math.sin(pose.heading) + left * Math.cos(pose.heading);
  return project(pose.x + across * looks.height, pose.z + away * looks.height, up * looks.height);
}

function drawShadow(easel: Easel, { x, z }: Pose): void {
  const owner = easel.owner;
  easel.owner = 0;
  const scale = scaleAt(z);
  const [left, foot] = project(x, z);
  paintPolygon(easel, ellipse([left + 0.12 * scale, foot], 0.42 * scale, 0.075 * scale), [30, 30, 34], 0.3);
  paintPolygon(easel, ellipse([left, foot], 0.24 * scale, 0.05 * scale), [20, 20, 24], 0.35);
  easel.owner = owner;
}

const ankleUp = 0.045;
const shank = 0.235;
const thigh = 0.235;

interface Leg {
  readonly hip: Joint;
  readonly knee: Joint;
  readonly ankle: Joint;
  readonly toe: Joint;
}

/** Both legs, the lower foot on the ground. */
function legs(pose: Pose): { readonly legs: readonly Leg[]; readonly hipUp: number } {
  const bent = [0, Math.PI].map((half) => {
    const swing = 0.46 * pose.stride * Math.sin(pose.step + half);
    const flex = 0.04 + 0.85 * pose.stride * Math.max(0, Math.cos(pose.step + half)) ** 1.5;
    return { swing, flex, drop: thigh * Math.cos(swing) + shank * Math.cos(swing - flex) };
  });
  const hipUp = ankleUp + Math.max(...bent.map(({ drop }) => drop));
  return {
    hipUp,
    legs: bent.map(({ swing, flex }, index) => {
      const left = (index === 0 ? 1 : -1) * 0.055;
      const knee: Joint = [thigh * Math.sin(swing), left, hipUp - thigh * Math.cos(swing)];
      const ankle: Joint = [knee[0] + shank * Math.sin(swing - flex), left, knee[2] - shank * Math.cos(swing - flex)];
      const toe: Joint = [ankle[0] + 0.095, left * 1.25, Math.max(0.016, ankle[2] - 0.028 - 0.03 * flex)];
      return { hip: [0, left, hipUp], knee, ankle, toe };
    }),
  };
}

function legLimbs(looks: Looks, pose: Pose): Limb[] {
  const wide = looks.girth;
  return legs(pose).legs.flatMap(({ hip, knee, ankle, toe }): Limb[] => [
    {
      from: [ankle[0] - 0.02, ankle[1], Math.max(0.02, ankle[2] - 0.02)],
      to: toe,
      radii: [0.021, 0.017],
      colour: looks.shoes,
      behind: 0.02,
    },
    { from: hip, to: knee, radii: [0.055 * wide, 0.038 * wide], colour: looks.legs, behind: 0.01 },
    { from: knee, to: ankle, radii: [0.038 * wide, 0.027 * wide], colour: looks.legs, behind: 0.012 },
  ]);
}

function bodyLimbs(looks: Looks, pose: Pose): Limb[] {
  const wide = looks.girth;
  const broad = Math.abs(Math.sin(pose.heading));
  const chest = (0.078 + 0.016 * broad) * wide;
  const hips = (0.072 + 0.012 * broad) * wide;
  const limbs: Limb[] = [
    { from: [0, 0.075 * wide, 0.79], to: [0, -0.075 * wide, 0.79], radii: [0.042, 0.042], colour: looks.top },
    { from: [0, 0, 0.755], to: [0, 0, 0.6], radii: [chest, hips * 0.98], colour: looks.top },
    {
      from: [0, 0, 0.6],
      to: [0, 0, Math.max(looks.hem, 0.45) + 0.06],
      radii: [hips * 0.98, hips],
      colour: looks.top,
      behind: 0.001,
    },
    { from: [0, 0, 0.8], to: [0.01, 0, 0.88], radii: [0.034, 0.032], colour: shaded(looks.skin, 0.86) },
  ];
  if (looks.hem < 0.45) {
    limbs.push({
      from: [0, 0, 0.52],
      to: [0, 0, looks.hem],
      radii: [hips, hips * 1.12],
      colour: shaded(looks.top, 0.95),
      behind: -0.05,
    });
  }
  if (looks.bag) {
    limbs.push({ from: [-0.1, 0, 0.76], to: [-0.1, 0, 0.63], radii: [0.055, 0.06], colour: looks.bag });
  }
  return limbs;
}

function armLimbs(looks: Looks, { step, stride }: Pose): Limb[] {
  return [0, Math.PI].flatMap((half, index): Limb[] => {
    const side = index === 0 ? 1 : -1;
    const swing = -0.5 * stride * Math.sin(step + half) - 0.04;
    const elbowBend = 0.18 + 0.3 * stride;
    const left = side * 0.108 * looks.girth;
    const shoulder: Joint = [0, left, 0.79];
    const elbow: Joint = [0.17 * Math.sin(swing), left * 1.18, 0.79 - 0.17 * Math.cos(swing)];
    const wrist: Joint = [
      elbow[0] + 0.145 * Math.sin(swing + elbowBend),
      left * 1.15,
      elbow[2] - 0.145 * Math.cos(swing + elbowBend),
    ];
    const hand: Joint = [wrist[0] + 0.035 * Math.sin(swing + elbowBend), left * 1.12, wrist[2] - 0.035];
    const sleeve = shaded(looks.top, 0.93);
    return [
      { from: wrist, to: hand, radii: [0.018, 0.016], colour: looks.skin },
      { from: shoulder, to: elbow, radii: [0.036 * looks.girth, 0.03 * looks.girth], colour: sleeve },
      { from: elbow, to: wrist, radii: [0.029 * looks.girth, 0.022 * looks.girth], colour: sleeve },
    ];
  });
}

function headLimbs(looks: Looks): Limb[] {
  const limbs: Limb[] = [
    { from: [0.012, 0, 0.945], to: [0.016, 0, 0.908], radii: [0.05, 0.042], colour: looks.skin },
    { from: [-0.012, 0, 0.95], to: [-0.02, 0, 0.925], radii: [0.052, 0.046], colour: looks.hair },
    { from: [0.006, 0, 0.966], to: [-0.01, 0, 0.962], radii: [0.042, 0.044], colour: looks.hair, behind: -0.012 },
  ];
  if (looks.longHair) {
    limbs.push({ from: [-0.03, 0, 0.94], to: [-0.035, 0, 0.85], radii: [0.047, 0.04], colour: looks.hair });
  }
  return limbs;
}

/** Eyes and mouth, where the face is turned to the camera enough. */
function drawFace(easel: Easel, looks: Looks, pose: Pose): void {
  const towards = -Math.sin(pose.heading);
  const size = looks.height * scaleAt(pose.z);
  if (towards < 0.3 || size < 60) return;
  for (const side of [1, -1]) {
    const eye = seen([0.062, side * 0.019, 0.937], looks, pose);
    paintPolygon(easel, ellipse(eye, 0.007 * size, 0.005 * size), [40, 30, 28], 0.85);
    paintPolygon(easel, ellipse([eye[0], eye[1] - 0.009 * size], 0.011 * size, 0.003 * size), looks.hair, 0.6);
  }
  paintPolygon(easel, ellipse(seen([0.062, 0, 0.899], looks, pose), 0.014 * size, 0.004 * size), [150, 80, 76], 0.7);
  paintPolygon(
    easel,
    ellipse(seen([0.066, 0, 0.918], looks, pose), 0.006 * size, 0.007 * size),
    shaded(looks.skin, 0.8),
    0.6,
  );
}
